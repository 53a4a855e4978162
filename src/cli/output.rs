//! How answers look: tables that line up, JSON and YAML of the same document, colours only where somebody sees them.
//!
//! ```text
//!   Answer ──┬─ table, wide ──▶ Table ──▶ lines; the last column is cut to fit, never in wide
//!            └─ json, yaml ───▶ the document (camelCase, with `well`)
//! ```

mod table;

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

pub(super) use table::{Cell, Table, Tone, one_line, plain};

/// How wide the message of a table may be where there is no terminal to fit it to.
const MESSAGE: usize = 80;
/// A message is never cut shorter than this, however narrow the terminal.
const SHORTEST: usize = 20;

/// How an answer looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people; long messages are cut.
    #[default]
    Table,
    /// For people; more columns, nothing is cut.
    Wide,
    /// One JSON document.
    Json,
    /// The same document as YAML.
    Yaml,
}

/// Where an answer for people goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Show everything there is.
    pub(super) wide: bool,
    colours: bool,
    terminal: bool,
    width: Option<usize>,
}

/// What a command found out.
pub(super) trait Answer: Serialize {
    /// Whether all is well: the exit code.
    fn well(&self) -> bool;

    /// The answer for people, with its last line end.
    fn text(&self, look: &Look) -> String;
}

impl Look {
    /// Standard output as it is.
    pub(super) fn of_stdout(format: Format) -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self {
            wide: format == Format::Wide,
            // https://no-color.org
            colours: terminal && !dumb && set("NO_COLOR").is_none(),
            terminal,
            width: terminal_size_of(out).map(|(Width(columns), _)| usize::from(columns)),
        }
    }

    /// Whether somebody looks at it as it comes.
    pub(super) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The same, with nothing cut.
    pub(super) const fn uncut(self) -> Self {
        Self { wide: true, ..self }
    }

    /// How long the last cell of a line may be after so many columns; `None`: as long as it is.
    fn room(&self, before: usize) -> Option<usize> {
        match (self.wide, self.width) {
            (true, _) => None,
            (false, Some(width)) => Some(width.saturating_sub(before).max(SHORTEST)),
            (false, None) => Some(MESSAGE),
        }
    }

    /// The text in the colour of its tone.
    pub(super) fn paint(&self, text: &str, tone: Tone) -> String {
        match (self.colours, tone.code()) {
            (true, Some(code)) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Prints the answer; the exit code says whether all is well.
pub(super) fn print(answer: &impl Answer, format: Format) -> anyhow::Result<ExitCode> {
    write(&shown(answer, format, &Look::of_stdout(format))?)?;
    Ok(match answer.well() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The answer in its format, with its last line end.
fn shown(answer: &impl Answer, format: Format, look: &Look) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table | Format::Wide => answer.text(look),
        Format::Json => serde_json::to_string_pretty(answer).context("cannot write JSON")? + "\n",
        Format::Yaml => yaml(answer)?,
    })
}

/// One of several answers, each of which is told from the next: JSON one a line, YAML documents, tables with an empty
/// line between. A table on a terminal takes the place of the one before.
pub(super) fn shown_again(
    answer: &impl Answer,
    format: Format,
    first: bool,
) -> anyhow::Result<String> {
    let look = Look::of_stdout(format);
    Ok(match format {
        Format::Json => serde_json::to_string(answer).context("cannot write JSON")? + "\n",
        Format::Yaml => format!("---\n{}", yaml(answer)?),
        // Home, then clear to the end: a terminal that is too small scrolls, and shows the end of the table.
        _ if look.is_terminal() => format!("\u{1b}[H\u{1b}[2J{}", answer.text(&look)),
        _ if first => answer.text(&look),
        _ => format!("\n{}", answer.text(&look)),
    })
}

fn yaml(answer: &impl Answer) -> anyhow::Result<String> {
    serde_saphyr::to_string(answer).context("cannot write YAML")
}

/// Writes to standard output; that nobody reads any more (`| head`) is no error. Returns whether somebody does.
pub(super) fn write(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// A list for people: `a, b`; `-` if it is empty.
pub(super) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => "-".to_owned(),
        items => items.join(","),
    }
}

#[cfg(test)]
impl Look {
    /// A pipe, or a terminal of that width.
    pub(super) const fn test(wide: bool, terminal: Option<usize>) -> Self {
        Self {
            wide,
            colours: terminal.is_some(),
            terminal: terminal.is_some(),
            width: terminal,
        }
    }
}
