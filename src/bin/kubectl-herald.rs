//! The kubectl plugin: `kubectl herald status` is `herald status`.

use std::process::ExitCode;

fn main() -> ExitCode {
    herald::cli::main()
}
