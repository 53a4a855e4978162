//! Programs of others that tests call by Python: each in a virtual environment with pinned versions under `target/`,
//! made once for all test binaries and runs.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The interpreter of the environment of this name, for which `package` stands in the help. `None`, said aloud, without
/// Python or a package registry; under `CI=true` that is a failure.
pub fn python(tmp: &str, name: &str, package: &str, requirements: &str) -> Option<PathBuf> {
    let home = Path::new(tmp).join(name);
    if let Err(why) = install(&home, requirements) {
        let help = format!(
            "{package} is not there ({why}); install Python 3 with venv, and see that `{} install {package}` works",
            home.join("bin/pip").display()
        );
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{help}");
        eprintln!("skipped: {help}");
        return None;
    }
    Some(home.join("bin/python"))
}

fn install(home: &Path, requirements: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    fs::create_dir_all(home).map_err(told)?;
    let lock = File::create(home.join("lock")).map_err(told)?;
    lock.lock().map_err(told)?;
    let done = home.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|text| text == requirements) {
        return Ok(());
    }
    let list = home.join("requirements.txt");
    fs::write(&list, requirements).map_err(told)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
    let pip = home.join("bin/pip");
    let arguments = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ];
    run(Command::new(pip).args(arguments).arg(&list))?;
    fs::write(&done, requirements).map_err(told)
}

/// What the command prints, or the last line of its complaints.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(errors.lines().last().unwrap_or("it failed").to_owned())
    }
}
