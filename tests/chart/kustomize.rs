//! kustomize, as kubectl carries it.

use std::{env, path::Path, process::Command};

/// What `kubectl apply -k` would apply. `None`, said aloud, where there is no kubectl; a failure under CI.
pub fn build(folder: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let output = match Command::new("kubectl")
        .arg("kustomize")
        .arg(&folder)
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            let help = format!("kubectl is needed to compare the chart with kustomize: {error}");
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{help}");
            eprintln!("skipped: {help}");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", folder.display());
    Some(String::from_utf8(output.stdout).unwrap())
}
