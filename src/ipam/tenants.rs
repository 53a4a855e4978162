//! Which namespaces may use a pool.

use std::collections::{BTreeMap, BTreeSet};

use super::Selector;

/// The allowed namespaces: those named, and those that the selector matches. What is left out restricts nothing: with
/// neither given every namespace is allowed. What is given and matches nothing allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenants {
    /// Namespaces by name.
    pub namespaces: Option<BTreeSet<String>>,
    /// Namespaces by their labels.
    pub selector: Option<Selector>,
}

impl Tenants {
    /// Whether Services of a namespace with these labels may use the pool.
    #[must_use]
    pub fn allow(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match (&self.namespaces, &self.selector) {
            (None, None) => true,
            (names, selector) => {
                names
                    .as_ref()
                    .is_some_and(|names| names.contains(namespace))
                    || selector
                        .as_ref()
                        .is_some_and(|selector| selector.matches(labels))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_selector_are_alternatives_and_a_match_of_nothing_allows_nothing() {
        let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        let gold = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        let tin = Some(Selector::from([("tier", "tin")]));
        for (namespaces, selector, allowed) in [
            (None, None, true),
            (names(&["team-a"]), None, true),
            (names(&["team-b"]), None, false),
            (names(&[]), None, false),
            (None, Some(Selector::default()), true),
            (None, Some(Selector::from([("tier", "gold")])), true),
            (None, tin.clone(), false),
            (names(&["team-a"]), tin.clone(), true),
            (names(&["team-b"]), Some(Selector::default()), true),
            (names(&["team-b"]), tin, false),
        ] {
            let tenants = Tenants {
                namespaces,
                selector,
            };
            assert_eq!(tenants.allow("team-a", &gold), allowed, "{tenants:?}");
        }
    }
}
