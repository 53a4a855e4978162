//! How a benchmark runs that needs network namespaces.

use std::process::ExitCode;

/// Runs `measure`, if this is `cargo bench`: cargo says so by `--bench`. Without it this is `cargo test --all-targets`,
/// where unoptimised figures would mean nothing.
pub fn run(
    name: &str,
    bench: bool,
    threads: usize,
    measure: impl Future<Output = anyhow::Result<()>>,
) -> ExitCode {
    if !bench {
        println!("run me with: cargo bench --bench {name}");
        return ExitCode::SUCCESS;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("needs root, for network namespaces");
        return ExitCode::FAILURE;
    }
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(measure);
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
