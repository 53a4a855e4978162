//! Label selectors, as `LabelSelector` of `k8s.io/apimachinery` means them.

use std::collections::{BTreeMap, BTreeSet};

/// Which labels match. Every requirement must hold; without any requirement everything matches.
///
/// A requirement that Kubernetes would refuse matches nothing, so that a slip never opens a pool to everybody;
/// [`Selector::fault`] tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    labels: BTreeMap<String, String>,
    requirements: Vec<Requirement>,
}

/// How a key and its values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The label is there and has one of the values.
    In,
    /// The label is missing or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

/// A requirement that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum InvalidSelector {
    /// Not one of the four operators.
    #[error(
        "{operator:?} is not an operator of a label selector; write In, NotIn, Exists or DoesNotExist"
    )]
    Operator {
        /// What was written.
        operator: String,
    },
    /// `In` and `NotIn` need something to compare with.
    #[error("the requirement on {key:?} needs at least one value")]
    NoValues {
        /// The label key.
        key: String,
    },
    /// `Exists` and `DoesNotExist` compare with nothing.
    #[error("the requirement on {key:?} must have no values, or use In or NotIn")]
    Values {
        /// The label key.
        key: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Requirement {
    Holds {
        key: String,
        operator: Operator,
        values: BTreeSet<String>,
    },
    Never(InvalidSelector),
}

impl Selector {
    /// A selector from `matchLabels` and `matchExpressions`, the latter as (key, operator, values).
    pub fn new(
        labels: BTreeMap<String, String>,
        expressions: impl IntoIterator<Item = (String, String, Vec<String>)>,
    ) -> Self {
        Self {
            labels,
            requirements: expressions
                .into_iter()
                .map(|(key, operator, values)| Requirement::new(key, &operator, values))
                .collect(),
        }
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .requirements
                .iter()
                .all(|requirement| requirement.holds(labels))
    }

    /// The first requirement that means nothing, and so keeps the selector from ever matching.
    #[must_use]
    pub fn fault(&self) -> Option<&InvalidSelector> {
        self.requirements
            .iter()
            .find_map(|requirement| match requirement {
                Requirement::Never(fault) => Some(fault),
                Requirement::Holds { .. } => None,
            })
    }
}

impl Requirement {
    fn new(key: String, operator: &str, values: Vec<String>) -> Self {
        let operator = match operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => {
                return Self::Never(InvalidSelector::Operator {
                    operator: super::address::excerpt(operator),
                });
            }
        };
        match (operator, values.is_empty()) {
            (Operator::In | Operator::NotIn, true) => {
                Self::Never(InvalidSelector::NoValues { key })
            }
            (Operator::Exists | Operator::DoesNotExist, false) => {
                Self::Never(InvalidSelector::Values { key })
            }
            _ => Self::Holds {
                key,
                operator,
                values: values.into_iter().collect(),
            },
        }
    }

    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Never(_) => false,
            Self::Holds {
                key,
                operator,
                values,
            } => {
                let value = labels.get(key);
                match operator {
                    Operator::In => value.is_some_and(|value| values.contains(value)),
                    Operator::NotIn => value.is_none_or(|value| !values.contains(value)),
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            }
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Selector {
    /// A selector of `matchLabels` alone.
    fn from(labels: [(&str, &str); N]) -> Self {
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self::new(labels.into(), [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(key: &str, operator: &str, values: &[&str]) -> Selector {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        Selector::new(
            BTreeMap::new(),
            [(key.to_owned(), operator.to_owned(), values)],
        )
    }

    #[test]
    fn selectors_match_as_in_kubernetes() {
        let gold = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        let bare = BTreeMap::new();
        for (selector, on_gold, on_bare) in [
            (Selector::default(), true, true),
            (Selector::from([("tier", "gold")]), true, false),
            (Selector::from([("tier", "tin")]), false, false),
            (
                Selector::from([("tier", "gold"), ("zone", "a")]),
                false,
                false,
            ),
            (expression("tier", "In", &["gold", "silver"]), true, false),
            (expression("tier", "In", &["tin"]), false, false),
            (expression("tier", "NotIn", &["gold"]), false, true),
            (expression("tier", "NotIn", &["tin"]), true, true),
            (expression("tier", "Exists", &[]), true, false),
            (expression("tier", "DoesNotExist", &[]), false, true),
        ] {
            assert_eq!(selector.matches(&gold), on_gold, "{selector:?}");
            assert_eq!(selector.matches(&bare), on_bare, "{selector:?}");
            assert_eq!(selector.fault(), None);
        }
    }

    #[test]
    fn what_kubernetes_refuses_matches_nothing_and_is_told() {
        for (selector, words) in [
            (
                expression("tier", "in", &["gold"]),
                "\"in\" is not an operator",
            ),
            (
                expression("tier", "Gt", &["1"]),
                "\"Gt\" is not an operator",
            ),
            (expression("tier", "In", &[]), "needs at least one value"),
            (expression("tier", "NotIn", &[]), "needs at least one value"),
            (
                expression("tier", "Exists", &["gold"]),
                "must have no values",
            ),
            (
                expression("tier", "DoesNotExist", &["gold"]),
                "must have no values",
            ),
        ] {
            assert!(!selector.matches(&BTreeMap::new()));
            assert!(!selector.matches(&BTreeMap::from([("tier".into(), "gold".into())])));
            let fault = selector.fault().unwrap().to_string();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
