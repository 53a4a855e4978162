//! What the one-word reasons mean: the tables of docs/reasons.md, which go into the binary as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use super::html::Html;

/// The page of the documentation.
const REASONS: &str = include_str!("../../docs/reasons.md");

/// What a word means in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meaning {
    /// The heading under which it stands.
    section: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

type Words = BTreeMap<&'static str, Vec<Meaning>>;

static WORDS: LazyLock<Words> = LazyLock::new(|| words(REASONS));

/// The words that are used on one page.
#[derive(Debug, Default)]
pub(super) struct Used(BTreeSet<&'static str>);

impl Used {
    /// Shows a word, as a link to what it means where that is known. One that means several things is shown with what it
    /// means under a heading that begins like this, if there is one.
    pub(super) fn show(&mut self, html: &mut Html, word: &str, place: &str) {
        let Some((known, meanings)) = WORDS.get_key_value(word) else {
            html.apart(word);
            return;
        };
        self.0.insert(known);
        let here = meanings.iter().find(|m| m.section.starts_with(place));
        let meaning = here.or_else(|| meanings.first());
        html.raw("<a")
            .attribute("href", &format!("#word-{known}"))
            .attribute("title", &plain(meaning.map_or("", |m| m.meaning)))
            .raw(">")
            .text(known)
            .raw("</a>");
    }

    /// What they mean, each with its anchor.
    pub(super) fn explain(&self, html: &mut Html) {
        if self.0.is_empty() {
            return;
        }
        html.raw("<section id=words><h2>What the words mean</h2>\n<dl>\n");
        for word in &self.0 {
            html.raw("<div")
                .attribute("id", &format!("word-{word}"))
                .raw("><dt>")
                .text(word)
                .raw("</dt>");
            let meanings = WORDS.get(word).map_or(&[][..], Vec::as_slice);
            for told in meanings {
                html.raw("<dd>");
                if meanings.len() > 1 {
                    html.raw("<span class=dim>");
                    markdown(html, told.section);
                    html.raw("</span><br>");
                }
                markdown(html, told.meaning);
                if told.advice != "nothing" {
                    html.raw("<br><span class=todo>→ ");
                    markdown(html, told.advice);
                    html.raw("</span>");
                }
                html.raw("</dd>");
            }
            html.raw("</div>\n");
        }
        html.raw("</dl></section>\n");
    }
}

/// Every row of every table whose first column holds words between backticks. The column before the last says what the
/// word means, the last one what to do.
fn words(text: &'static str) -> Words {
    let mut words = Words::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
            continue;
        }
        let row = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |"));
        let cells: Vec<_> = row.map_or(Vec::new(), |row| row.split(" | ").collect());
        if let [names, .., meaning, advice] = cells.as_slice()
            && names.starts_with('`')
        {
            for name in names.split(", ") {
                words
                    .entry(name.trim_matches('`'))
                    .or_default()
                    .push(Meaning {
                        section,
                        meaning,
                        advice,
                    });
            }
        }
    }
    words
}

/// What the page needs of Markdown: code, and links, of which only the words are shown.
fn markdown(html: &mut Html, text: &str) {
    for (index, part) in unlinked(text).split('`').enumerate() {
        if index % 2 == 0 {
            html.text(part);
        } else {
            html.raw("<code>").text(part).raw("</code>");
        }
    }
}

fn plain(text: &str) -> String {
    unlinked(text).replace('`', "")
}

fn unlinked(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        shown.push_str(before);
        let link = after
            .split_once("](")
            .and_then(|(words, target)| Some((words, target.split_once(')')?.1)));
        match link {
            Some((words, after)) => {
                shown.push_str(words);
                rest = after;
            }
            None => {
                shown.push('[');
                rest = after;
            }
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_documentation_is_known_with_what_to_do() {
        for word in [
            "Allocated",
            "PoolExhausted",
            "AddressReplaced",
            "Provisioned",
            "Unannounced",
            "SameName",
            "HeldByDisallowed",
            "StateFileVersion",
        ] {
            let meanings = WORDS.get(word).unwrap_or_else(|| panic!("{word}"));
            assert!(
                meanings
                    .iter()
                    .all(|m| !m.meaning.is_empty() && !m.advice.is_empty())
            );
        }
        let told = WORDS["PeerUnheard"].iter().map(|m| m.section);
        assert_eq!(told.collect::<BTreeSet<_>>().len(), 3, "by where it stands");
    }

    #[test]
    fn of_markdown_there_is_code_and_no_link() {
        let mut html = Html::default();
        markdown(
            &mut html,
            "see [deploy/aws](../deploy/aws), `a<b` and a[0] or [b](c",
        );
        assert_eq!(
            html.into_string(),
            "see deploy/aws, <code>a&lt;b</code> and a[0] or [b](c"
        );
    }

    #[test]
    fn an_unknown_word_is_shown_without_a_link() {
        let (mut used, mut html) = (Used::default(), Html::default());
        used.show(&mut html, "<b>Strange</b>", "");
        used.explain(&mut html);
        assert_eq!(html.into_string(), "<bdi>&lt;b&gt;Strange&lt;/b&gt;</bdi>");
    }
}
