//! Where the environment of a process of the lab differs from the lab's own.

use std::ffi::OsString;

use tokio::process::Command;

/// Variables with other values, or with none.
pub(super) type Environment = Vec<(&'static str, Option<OsString>)>;

pub(super) fn set(command: &mut Command, environment: &Environment) {
    for (key, value) in environment {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
}
