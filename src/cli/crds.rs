//! `herald crds`.

use std::{io::Write as _, process::ExitCode};

use crate::api;

pub(super) fn print() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(api::crds_yaml()?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
