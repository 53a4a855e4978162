//! Takes annotations one by one, typed; what nobody took is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    str::FromStr,
};

use crate::{
    refusal::{Reason, Refusal, choices},
    words::Word,
};

/// The prefix of every key but the source ranges.
pub(super) const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// What is left to take, and what went wrong with what was taken.
pub(super) struct Reader<'a> {
    left: BTreeMap<&'a str, &'a str>,
    known: BTreeSet<&'static str>,
    pub(super) ills: Vec<Refusal>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(annotations: &'a BTreeMap<String, String>) -> Self {
        let left = annotations
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.trim())))
            .collect();
        Self {
            left,
            known: BTreeSet::new(),
            ills: Vec::new(),
        }
    }

    pub(super) fn ill(&mut self, key: &str, why: impl AsRef<str>) {
        let message = format!("{PREFIX}{key} {}", why.as_ref());
        self.ills
            .push(Refusal::new(Reason::InvalidAnnotation, message));
    }

    pub(super) fn contradiction(&mut self, message: impl Into<String>) {
        self.ills
            .push(Refusal::new(Reason::ContradictoryAnnotations, message));
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.known.insert(key);
        let value = self.left.remove(key)?;
        if value.is_empty() {
            self.ill(key, "is empty; give it a value or remove it");
            return None;
        }
        Some(value.to_owned())
    }

    /// Whatever `T` is read from.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, kind: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.ill(key, format!("is {text:?}, which is not {kind}"));
        }
        parsed
    }

    pub(super) fn word<W: Word>(&mut self, key: &'static str) -> Option<W> {
        let text = self.text(key)?;
        let found = W::ALL.iter().copied().find(|word| word.word() == text);
        if found.is_none() {
            let offered = choices::<W>();
            self.ill(key, format!("is {text:?}; it takes one of: {offered}"));
        }
        found
    }

    /// A truth value as Go reads them, since that is what the annotations were made for.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.either(
            key,
            &["true", "True", "TRUE", "t", "T", "1"],
            &["false", "False", "FALSE", "f", "F", "0"],
        )
    }

    /// `on` or `off`.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        self.either(key, &["on"], &["off"])
    }

    fn either(&mut self, key: &'static str, yes: &[&str], no: &[&str]) -> Option<bool> {
        let text = self.text(key)?;
        if yes.contains(&text.as_str()) {
            return Some(true);
        }
        if no.contains(&text.as_str()) {
            return Some(false);
        }
        let offered: Vec<_> = yes
            .iter()
            .chain(no)
            .take(1)
            .chain(no.iter().take(1))
            .collect();
        self.ill(key, format!("is {text:?}; it takes {offered:?}"));
        None
    }

    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let number: u32 = self.parsed(key, "a number")?;
        if range.contains(&number) {
            return Some(number);
        }
        let (low, high) = (range.start(), range.end());
        self.ill(key, format!("is {number}; it takes {low} to {high}"));
        None
    }

    /// Parts between commas, without the empty ones.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let Some(text) = self.text(key) else {
            return Vec::new();
        };
        let parts: Vec<String> = parts(&text).map(str::to_owned).collect();
        if parts.is_empty() {
            self.ill(key, "names nothing; remove it or fill it");
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = parts.iter().find(|part| !seen.insert(part.as_str())) {
            self.ill(key, format!("names {twice} twice"));
        }
        parts
    }

    /// A list of what `T` is read from.
    pub(super) fn parsed_list<T: FromStr>(&mut self, key: &'static str, kind: &str) -> Vec<T> {
        let mut all = Vec::new();
        for part in self.list(key) {
            match part.parse() {
                Ok(value) => all.push(value),
                Err(_) => self.ill(key, format!("has {part:?}, which is not {kind}")),
            }
        }
        all
    }

    /// A list of names that AWS makes, which all begin alike.
    pub(super) fn ids(&mut self, key: &'static str, start: &str) -> Vec<String> {
        let all = self.list(key);
        for ill in all.iter().filter(|id| !id.starts_with(start)) {
            self.ill(key, format!("has {ill:?}; each must begin with {start}"));
        }
        all
    }

    pub(super) fn map(&mut self, key: &'static str) -> BTreeMap<String, String> {
        match self.text(key) {
            Some(text) => self.pairs(key, &text),
            None => BTreeMap::new(),
        }
    }

    /// Every key that begins so, with what follows; an empty map is one, too.
    pub(super) fn maps(&mut self, start: &'static str) -> Vec<(String, BTreeMap<String, String>)> {
        let found: Vec<_> = self
            .left
            .iter()
            .filter_map(|(key, value)| Some((*key, key.strip_prefix(start)?, *value)))
            .collect();
        let mut all = Vec::new();
        for (key, rest, value) in found {
            self.left.remove(key);
            let pairs = self.pairs(key, value);
            all.push((rest.to_owned(), pairs));
        }
        all
    }

    fn pairs(&mut self, key: &str, text: &str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        for part in escaped_parts(text) {
            let Some((name, value)) = part.split_once('=') else {
                self.ill(key, format!("has {part:?}; write it as key=value"));
                continue;
            };
            let name = name.trim().to_owned();
            if pairs
                .insert(name.clone(), value.trim().to_owned())
                .is_some()
            {
                self.ill(key, format!("gives {name} twice"));
            }
        }
        pairs
    }

    /// Takes a key whatever it says; whether it was there.
    pub(super) fn present(&mut self, key: &'static str) -> bool {
        self.known.insert(key);
        self.left.remove(key).is_some()
    }

    /// What nobody took is an error.
    pub(super) fn finish(mut self) -> Vec<Refusal> {
        for key in std::mem::take(&mut self.left).into_keys() {
            let near = self
                .known
                .iter()
                .map(|known| (distance(key, known), *known))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let hint = near.map_or_else(
                || "remove it".to_owned(),
                |(_, known)| format!("did you mean {PREFIX}{known}?"),
            );
            self.ills.push(Refusal::new(
                Reason::UnknownAnnotation,
                format!("there is no annotation {PREFIX}{key}; {hint}"),
            ));
        }
        self.ills
    }
}

/// The parts between commas, trimmed, without the empty ones.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Parts between commas, where `\,` stands for a comma.
fn escaped_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(',')) => {
                letters.next();
                if let Some(part) = parts.last_mut() {
                    part.push(',');
                }
            }
            (',', _) => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// How many letters must be changed, added or dropped between two words.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((column, theirs), above) in other.iter().enumerate().zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            let corner = row.get(column).copied().unwrap_or_default();
            let changed = corner + usize::from(*theirs != letter);
            next.push(changed.min(left + 1).min(above + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
