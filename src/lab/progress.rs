//! The show on paper: one line per step, and what the steps came to.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";
/// Back to the start of the line, and away with it.
const WIPE: &str = "\r\u{1b}[2K";
/// Names of steps are at most this long.
const NAME_WIDTH: usize = 10;
/// What stands before the text of a step: mark, seconds, name.
const INDENT: usize = NAME_WIDTH + 11;
/// Lines for people are about this long.
const WIDTH: usize = 100;
/// What a step waits for is cut to this length, so that it stays on one line of any terminal.
const WAITING_WIDTH: usize = 55;

/// What one step came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Done {
    pub(super) step: &'static str,
    pub(super) held: bool,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub(super) took: Duration,
    /// What was seen.
    pub(super) seen: String,
    /// What was expected instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
}

/// What a step was not.
#[derive(Debug)]
pub(super) struct Unmet {
    pub(super) seen: String,
    /// The processes whose logs may say why.
    pub(super) suspects: Vec<String>,
}

impl Unmet {
    /// Something else was seen.
    pub(super) fn new(seen: impl Into<String>) -> Self {
        Self {
            seen: seen.into(),
            suspects: Vec::new(),
        }
    }

    /// Whose logs may say why.
    pub(super) fn suspecting(mut self, process: impl Into<String>) -> Self {
        self.suspects.push(process.into());
        self
    }
}

impl From<anyhow::Error> for Unmet {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

/// Writes lines for people, and remembers the steps.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    to_stderr: bool,
    pub(super) steps: Vec<Done>,
}

impl Progress {
    /// Progress goes to standard output, or to standard error if something else is to be written there.
    pub(super) fn new(to_stderr: bool) -> Self {
        let terminal = if to_stderr {
            std::io::stderr().is_terminal()
        } else {
            std::io::stdout().is_terminal()
        };
        Self {
            terminal,
            to_stderr,
            steps: Vec::new(),
        }
    }

    /// A line that is no step.
    pub(super) fn say(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Does a step and writes how it went.
    pub(super) async fn step<T>(
        &mut self,
        step: &'static str,
        expected: &str,
        work: impl Future<Output = Result<(T, String), Unmet>>,
    ) -> Result<T, Unmet> {
        if self.terminal {
            let waiting: String = expected.chars().take(WAITING_WIDTH).collect();
            self.write(&format!(
                "{DIM}·        {step:NAME_WIDTH$}  {waiting} …{PLAIN}"
            ));
        }
        let began = Instant::now();
        let result = work.await;
        let took = began.elapsed();
        let done = match &result {
            Ok((_, seen)) => Done {
                step,
                held: true,
                took,
                seen: seen.clone(),
                expected: None,
            },
            Err(unmet) => Done {
                step,
                held: false,
                took,
                seen: unmet.seen.clone(),
                expected: Some(expected.to_owned()),
            },
        };
        self.write(&self.line(&done));
        self.steps.push(done);
        result.map(|(value, _)| value)
    }

    fn line(&self, done: &Done) -> String {
        let Done {
            step,
            held,
            took,
            seen,
            expected,
        } = done;
        let (wipe, green, red, plain) = if self.terminal {
            (WIPE, GREEN, RED, PLAIN)
        } else {
            ("", "", "", "")
        };
        let (colour, mark) = if *held { (green, '✓') } else { (red, '✗') };
        let seconds = took.as_secs_f64();
        let head = format!("{wipe}{colour}{mark}{plain} {seconds:4.1}s  {step:NAME_WIDTH$}");
        let text = match expected {
            None => wrapped(seen),
            Some(expected) => {
                let indent = " ".repeat(INDENT);
                format!(
                    "expected: {}\n{indent}seen:     {}",
                    wrapped(expected),
                    wrapped(seen)
                )
            }
        };
        format!("{head}  {text}\n")
    }

    fn write(&self, text: &str) {
        // Nobody reads it any more when writing fails.
        drop(if self.to_stderr {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
    }
}

/// The text on several lines if need be, all but the first one indented.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if INDENT + line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(INDENT)))
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_between_words_and_columns_survive() {
        assert_eq!(
            wrapped("default/echo    has  it"),
            "default/echo    has  it"
        );
        let long = ["word"; 40].join(" ");
        let lines: Vec<_> = wrapped(&long).lines().map(|l| l.trim().len()).collect();
        assert_eq!(lines, [79, 79, 39]);
    }
}
