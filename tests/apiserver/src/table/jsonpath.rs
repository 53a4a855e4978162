//! The JSON paths of printer columns and selectable fields: `.a.b`, `[0]`, `[*]`, `['k']`, `[?(@.x=="y")]`.

use serde_json::Value;

/// All values at a path; none where it cannot be followed or read.
pub(crate) fn find<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let Some(steps) = parse(path) else {
        return Vec::new();
    };
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|value| follow(value, &step))
            .collect();
    }
    found.retain(|value| !value.is_null());
    found
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Index(i64),
    All,
    /// Items whose member (a path) has a value.
    Filter(String, String),
}

fn follow<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match step {
        Step::Member(name) => value.get(name).into_iter().collect(),
        Step::Index(at) => {
            let Value::Array(items) = value else {
                return Vec::new();
            };
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let at = if *at < 0 { length + at } else { *at };
            usize::try_from(at)
                .ok()
                .and_then(|at| items.get(at))
                .into_iter()
                .collect()
        }
        Step::All => match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Filter(path, wanted) => match value {
            Value::Array(items) => items
                .iter()
                .filter(|item| {
                    find(item, path).first().is_some_and(|has| match has {
                        Value::String(text) => text == wanted,
                        other => other.to_string() == *wanted,
                    })
                })
                .collect(),
            _ => Vec::new(),
        },
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}');
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            let (inner, tail) = after.split_at_checked(end)?;
            steps.push(bracket(inner)?);
            rest = tail.strip_prefix(']')?;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let (name, tail) = member(after);
            if name.is_empty() {
                // `.[` and a trailing dot.
                rest = tail;
                if !tail.starts_with('[') && !tail.is_empty() {
                    return None;
                }
                continue;
            }
            steps.push(if name == "*" {
                Step::All
            } else {
                Step::Member(name)
            });
            rest = tail;
        }
    }
    Some(steps)
}

/// A name up to the next dot or bracket; `\.` is a dot in the name.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, text.get(at..).unwrap_or_default()),
            _ => name.push(letter),
        }
    }
    (name, "")
}

/// Where the bracket closes, quotes and parentheses respected.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some(at),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if letter == open => quote = None,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inner
        .strip_prefix("?(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let (path, value) = filter.split_once("==")?;
        let path = path.trim().strip_prefix('@')?;
        return Some(Step::Filter(
            path.to_owned(),
            unquote(value.trim()).to_owned(),
        ));
    }
    if let Ok(at) = inner.parse() {
        return Some(Step::Index(at));
    }
    Some(Step::Member(unquote(inner).to_owned()))
}

fn unquote(text: &str) -> &str {
    let strip = |quote: char| {
        text.strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
    };
    strip('\'').or_else(|| strip('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_printer_columns_are_followed() {
        let object = json!({
            "metadata": {"annotations": {"herald.dev/pool": "lan"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Degraded", "status": "False"}],
                       "ipv4": {"used": 3}},
            "spec": {"addresses": ["a", "b"]},
        });
        let cases = [
            (
                ".status.conditions[?(@.type=='Ready')].status",
                vec![json!("True")],
            ),
            (
                ".status.conditions[?(@.type==\"Degraded\")].status",
                vec![json!("False")],
            ),
            (".status.ipv4.used", vec![json!(3)]),
            (".spec.addresses[*]", vec![json!("a"), json!("b")]),
            (".spec.addresses[-1]", vec![json!("b")]),
            (".spec.addresses", vec![json!(["a", "b"])]),
            (
                ".metadata.annotations.herald\\.dev/pool",
                vec![json!("lan")],
            ),
            (
                ".metadata.annotations['herald.dev/pool']",
                vec![json!("lan")],
            ),
            (".none.at.all", vec![]),
        ];
        for (path, expected) in cases {
            let found: Vec<Value> = find(&object, path).into_iter().cloned().collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
