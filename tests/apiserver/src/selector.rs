//! Label and field selectors, parsed and matched as Kubernetes does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fields;
use crate::status_error::StatusError;

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A label selector: all requirements hold. None holds for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

/// A field selector: `(path, equal?, value)`, all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

/// Both selectors of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selector {
    /// Whether nothing is selected away.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.0.is_empty() && self.fields.0.is_empty()
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }
}

impl LabelSelector {
    /// Parses `a=b,c in (d,e),!f,g`.
    pub(crate) fn parse(text: &str) -> Result<Self, StatusError> {
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            requirements.push(requirement(part).ok_or_else(|| {
                StatusError::bad_request(format!(
                    "unable to parse requirement: found '{part}', expected: a valid label selector"
                ))
            })?);
        }
        Ok(Self(requirements))
    }

    fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let label = |key: &str| {
                fields::get(object, &["metadata", "labels", key]).and_then(Value::as_str)
            };
            let number = |key: &str| label(key).and_then(|text| text.parse::<i64>().ok());
            match requirement {
                Requirement::In(key, values) => label(key).is_some_and(|has| values.contains(has)),
                Requirement::NotIn(key, values) => {
                    !label(key).is_some_and(|has| values.contains(has))
                }
                Requirement::Exists(key) => label(key).is_some(),
                Requirement::Missing(key) => label(key).is_none(),
                Requirement::Greater(key, than) => number(key).is_some_and(|has| has > *than),
                Requirement::Less(key, than) => number(key).is_some_and(|has| has < *than),
            }
        })
    }
}

impl FieldSelector {
    /// Parses `a=b,c!=d`; commas, equal signs and backslashes in values are escaped by `\`.
    pub(crate) fn parse(text: &str) -> Result<Self, StatusError> {
        let mut terms = Vec::new();
        for part in split_unescaped(text) {
            if part.is_empty() {
                continue;
            }
            let (key, equal, value) = if let Some((key, value)) = part.split_once("!=") {
                (key, false, value)
            } else if let Some((key, value)) = part.split_once("==") {
                (key, true, value)
            } else if let Some((key, value)) = part.split_once('=') {
                (key, true, value)
            } else {
                return Err(StatusError::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            terms.push((key.to_owned(), equal, unescape(value)));
        }
        Ok(Self(terms))
    }

    /// The paths that it names.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _, _)| path.as_str())
    }

    fn matches(&self, object: &Value) -> bool {
        self.0
            .iter()
            .all(|(path, equal, wanted)| (field_value(object, path) == *wanted) == *equal)
    }
}

/// A field as a selector sees it: absent is empty, booleans and numbers are their text.
fn field_value(object: &Value, path: &str) -> String {
    let keys: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    match fields::get(object, &keys) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(_) | Value::Number(_)) => fields::get(object, &keys)
            .map(Value::to_string)
            .unwrap_or_default(),
        _ => match path {
            "spec.unschedulable" => "false".to_owned(),
            _ => String::new(),
        },
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return valid_key(key.trim()).map(Requirement::Missing);
    }
    for (word, positive) in [
        (" notin ", false),
        (" notin(", false),
        (" in ", true),
        (" in(", true),
    ] {
        if let Some((key, rest)) = text.split_once(word) {
            let list = rest.trim().trim_start_matches('(').strip_suffix(')')?;
            let values = list
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect();
            let key = valid_key(key.trim())?;
            return Some(if positive {
                Requirement::In(key, values)
            } else {
                Requirement::NotIn(key, values)
            });
        }
    }
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(valid_key(key.trim())?, one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(valid_key(key.trim())?, one(value)));
    }
    if let Some((key, value)) = text.split_once('>') {
        return Some(Requirement::Greater(
            valid_key(key.trim())?,
            value.trim().parse().ok()?,
        ));
    }
    if let Some((key, value)) = text.split_once('<') {
        return Some(Requirement::Less(
            valid_key(key.trim())?,
            value.trim().parse().ok()?,
        ));
    }
    valid_key(text).map(Requirement::Exists)
}

fn valid_key(key: &str) -> Option<String> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let letters = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    (!name.is_empty() && letters(key)).then(|| key.to_owned())
}

fn split_outside_parentheses(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for letter in text.chars() {
        if letter == ',' && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = letter == '\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(if letter == '\\' {
            letters.next().unwrap_or('\\')
        } else {
            letter
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_select() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "2", "x.y/z": ""}}});
        let cases = [
            ("app=web", true),
            ("app==api", false),
            ("app!=api,tier", true),
            ("app in (api, web)", true),
            ("app notin (api,web)", false),
            ("other notin (api)", true),
            ("!app", false),
            ("!service.kubernetes.io/headless", true),
            ("x.y/z", true),
            ("tier>1", true),
            ("tier<2", false),
            ("", true),
        ];
        for (text, expected) in cases {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(&object), expected, "{text}");
        }
        assert!(LabelSelector::parse("a b").is_err());
    }

    #[test]
    fn fields_select() {
        let object =
            json!({"metadata": {"name": "a,b"}, "spec": {"type": "LoadBalancer", "on": true}});
        let cases = [
            ("spec.type=LoadBalancer", true),
            ("spec.type!=LoadBalancer", false),
            ("metadata.name==a\\,b,spec.on=true", true),
            ("spec.none=", true),
        ];
        for (text, expected) in cases {
            assert_eq!(
                FieldSelector::parse(text).unwrap().matches(&object),
                expected,
                "{text}"
            );
        }
    }
}
