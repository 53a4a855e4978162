//! A few labels or annotations of one object.
//!
//! A `BTreeMap` of a single pair takes half a kilobyte, and a controller keeps those of every Service. This takes what the
//! pairs take.

use std::collections::BTreeMap;

/// Texts by text, in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&String> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// All pairs, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Puts a pair in, in the place of one with the same key.
    pub fn insert(&mut self, key: String, value: String) {
        match self.find(&key) {
            Ok(at) => {
                if let Some(pair) = self.0.get_mut(at) {
                    pair.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes a pair out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// The same as a map, to be looked into often.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.0.iter().cloned().collect()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(known, _)| known.as_str().cmp(key))
    }
}

impl FromIterator<(String, String)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let sorted: BTreeMap<_, _> = pairs.into_iter().collect();
        let mut pairs: Vec<_> = sorted.into_iter().collect();
        pairs.shrink_to_fit();
        Self(pairs)
    }
}

impl<const N: usize> From<[(String, String); N]> for Pairs {
    fn from(pairs: [(String, String); N]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_behave_as_a_map() {
        let mut pairs: Pairs = [("b".into(), "1".into()), ("a".into(), "2".into())].into();
        pairs.insert("c".into(), "3".into());
        pairs.insert("b".into(), "4".into());
        assert_eq!(pairs.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(pairs.get("b").map(String::as_str), Some("4"));
        assert_eq!(pairs.remove("a").as_deref(), Some("2"));
        assert!(!pairs.contains_key("a"));
        assert_eq!(pairs.to_map().len(), 2);
    }
}
