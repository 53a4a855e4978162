//! `herald completion`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, output};

pub(super) fn print(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown(), "herald", &mut text);
    output::write(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line without what nobody types.
fn shown() -> clap::Command {
    let whole = Cli::command();
    let commands = whole.get_subcommands().filter(|it| !it.is_hide_set());
    clap::Command::new("herald")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(commands.cloned().collect::<Vec<_>>())
}
