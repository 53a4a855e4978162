//! Names of objects, labels and fields, and the words of Kubernetes for what is wrong with them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fields;
use crate::resource::Resource;
use crate::status_error::Cause;

/// Why a name is no DNS-1123 subdomain.
pub(crate) const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// Why a text is no DNS-1123 label.
pub(crate) const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Checks the metadata of an object that is to be stored.
pub(crate) fn check_metadata(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = fields::meta(object, "name");
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Some(why) = wrong_name(resource, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    if resource.namespaced && fields::meta(object, "namespace").is_empty() {
        causes.push(Cause::required("metadata.namespace", ""));
    }
    check_labels(object, &mut causes);
    for key in keys(object, "annotations") {
        if let Some(why) = wrong_qualified_name(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), why));
        }
    }
    let finalizers = fields::list(object, &["metadata", "finalizers"]);
    for (at, finalizer) in finalizers.iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if let Some(why) = wrong_qualified_name(text) {
            let field = format!("metadata.finalizers[{at}]");
            causes.push(Cause::invalid(field, finalizer, why));
        }
    }
    causes
}

/// What an update must not change.
pub(crate) fn check_metadata_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let immutable = "field is immutable";
    for key in ["name", "namespace", "uid"] {
        if fields::meta(new, key) != fields::meta(old, key) {
            let value = json!(fields::meta(new, key));
            causes.push(Cause::invalid(format!("metadata.{key}"), &value, immutable));
        }
    }
    if !fields::meta(old, "deletionTimestamp").is_empty() {
        let list = |object| -> BTreeSet<String> {
            let items = fields::list(object, &["metadata", "finalizers"]).iter();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let added: Vec<String> = list(new).difference(&list(old)).cloned().collect();
        if !added.is_empty() {
            let shown: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", why));
        }
    }
    causes
}

fn check_labels(object: &Value, causes: &mut Vec<Cause>) {
    let Some(labels) = fields::get(object, &["metadata", "labels"]).and_then(Value::as_object)
    else {
        return;
    };
    for (key, value) in labels {
        if let Some(why) = wrong_qualified_name(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), why));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            let why = "must be no more than 63 bytes";
            causes.push(Cause::invalid("metadata.labels", value, why));
        } else if !text.is_empty() && !is_name_part(text) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
}

fn keys<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a String> {
    let map = fields::get(object, &["metadata", field]).and_then(Value::as_object);
    map.into_iter().flat_map(|map| map.keys())
}

fn wrong_name(resource: &Resource, name: &str) -> Option<String> {
    let too_long =
        |max: usize| (name.len() > max).then(|| format!("must be no more than {max} bytes"));
    match (resource.group.as_str(), resource.kind.as_str()) {
        // Since 1.36 (KEP-5311) a Service may begin with a digit.
        ("", "Namespace" | "Service") => {
            too_long(63).or_else(|| (!is_dns1123_label(name)).then(|| DNS1123_LABEL.to_owned()))
        }
        ("rbac.authorization.k8s.io", _) => match name {
            "." | ".." => Some(format!("may not be '{name}'")),
            _ => ["/", "%"]
                .iter()
                .find(|bad| name.contains(**bad))
                .map(|bad| format!("may not contain '{bad}'")),
        },
        _ => too_long(253)
            .or_else(|| (!is_dns1123_subdomain(name)).then(|| DNS1123_SUBDOMAIN.to_owned())),
    }
}

/// Why a text is no qualified name (`example.com/name` or `name`), if it is none.
pub(crate) fn wrong_qualified_name(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        None => (None, text),
        Some((prefix, name)) => (Some(prefix), name),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if !is_dns1123_subdomain(prefix) {
            return Some(format!("prefix part {DNS1123_SUBDOMAIN}"));
        }
    }
    if name.is_empty() {
        return Some(format!("name part must be non-empty; {QUALIFIED_NAME}"));
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_name_part(name)).then(|| QUALIFIED_NAME.to_owned())
}

fn is_name_part(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(edge)
        && text.ends_with(edge)
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
pub(crate) fn is_dns1123_label(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || c == '-')
}

/// Labels with dots between.
pub(crate) fn is_dns1123_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns1123_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert!(is_dns1123_subdomain("a.b-c.d1") && !is_dns1123_subdomain("a..b"));
        assert!(is_dns1123_label("1a") && !is_dns1123_label("a-"));
        assert_eq!(wrong_qualified_name("herald.dev/pool"), None);
        assert!(wrong_qualified_name("Herald/x").is_some());
        assert!(wrong_qualified_name("/x").is_some() && wrong_qualified_name("a b").is_some());
    }
}
