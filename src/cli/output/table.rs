//! Rows under headings, every column as wide as its widest cell, the last one as wide as there is room.

use super::Look;

const GAP: &str = "  ";

/// What a cell says by its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// A heading.
    Strong,
}

/// One cell, on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Cell {
    text: String,
    tone: Tone,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Table {
    indent: usize,
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Tone {
    pub(super) const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Strong => Some(1),
            Self::Bad => Some(31),
            Self::Good => Some(32),
        }
    }

    /// The tone of a state.
    pub(in crate::cli) const fn of(well: bool) -> Self {
        if well { Self::Good } else { Self::Bad }
    }
}

/// A cell without colour; what is empty shows as `-`.
pub(in crate::cli) fn plain(text: impl Into<String>) -> Cell {
    Cell::new(text, Tone::Plain)
}

impl Cell {
    /// What is empty shows as `-`. Line ends and other control characters become spaces: what a cluster says must
    /// neither break the table nor command the terminal.
    pub(in crate::cli) fn new(text: impl Into<String>, tone: Tone) -> Self {
        let text: String = text.into();
        let text = match text.as_str() {
            "" => "-".to_owned(),
            text => one_line(text),
        };
        Self { text, tone }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// The text without what would break a line or command a terminal.
pub(in crate::cli) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl Table {
    /// A table with these headings; without any there is no heading line.
    pub(in crate::cli) fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            ..Self::default()
        }
    }

    /// The same, every line set in by so many spaces.
    pub(in crate::cli) fn indented(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    /// Adds a line.
    pub(in crate::cli) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each with its end.
    pub(in crate::cli) fn text(&self, look: &Look) -> String {
        let heading = |text: &&'static str| Cell::new(*text, Tone::Strong);
        let header: Vec<_> = self.header.iter().map(heading).collect();
        let lines = || {
            let heading = Some(&header).filter(|header| !header.is_empty());
            heading.into_iter().chain(&self.rows)
        };
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                let cells = lines().filter_map(|line| line.get(column));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        lines()
            .map(|line| self.line(line, &widths, look) + "\n")
            .collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], look: &Look) -> String {
        let mut text = " ".repeat(self.indent);
        let mut used = self.indent;
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if index + 1 == widths.len() {
                text.push_str(&look.paint(&cut(&cell.text, look.room(used)), cell.tone));
            } else {
                text.push_str(&look.paint(&cell.text, cell.tone));
                text.push_str(&" ".repeat(width.saturating_sub(cell.width())));
                text.push_str(GAP);
                used += width + GAP.len();
            }
        }
        text.trim_end().to_owned()
    }
}

/// At most so many characters, the last one `…` if some are missing.
fn cut(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) if text.chars().count() > room => {
            let kept: String = text.chars().take(room.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(message: &str) -> Table {
        let mut table = Table::new(&["NAME", "STATE", "MESSAGE"]);
        table.row([plain("web"), Cell::new("Announcing", Tone::Good), plain("")]);
        table.row([
            plain("über-long"),
            Cell::new("Bad", Tone::Bad),
            plain(message),
        ]);
        table
    }

    #[test]
    fn columns_line_up_with_and_without_colours() {
        let text = table("all is lost").text(&Look::test(false, None));
        assert_eq!(
            text,
            "NAME       STATE       MESSAGE\n\
             web        Announcing  -\n\
             über-long  Bad         all is lost\n"
        );
        let coloured = table("all is lost").text(&Look::test(false, Some(120)));
        assert!(
            coloured.contains("\u{1b}[32mAnnouncing\u{1b}[0m  -"),
            "{coloured}"
        );
        let bare = ["[0m", "[1m", "[31m", "[32m"]
            .iter()
            .fold(coloured, |text, code| {
                text.replace(&format!("\u{1b}{code}"), "")
            });
        assert_eq!(bare, text);
    }

    #[test]
    fn only_the_last_column_is_cut_and_never_in_wide() {
        let long = "x".repeat(200);
        let last = |look: Look| {
            let text = table(&long).text(&look);
            text.lines().last().unwrap().to_owned()
        };
        assert!(last(Look::test(false, None)).ends_with(&format!("{}…", "x".repeat(79))));
        let narrow = Look {
            colours: false,
            ..Look::test(false, Some(60))
        };
        assert_eq!(last(narrow).chars().count(), 60);
        assert!(last(Look::test(true, Some(60))).contains(&long));
    }

    #[test]
    fn what_a_cluster_says_cannot_command_the_terminal() {
        let text = table("two\nlines\u{1b}[2J").text(&Look::test(true, None));
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }
}
