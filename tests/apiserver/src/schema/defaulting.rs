//! Defaults of custom resources, from their structural schema.

use serde_json::Value;

use super::Node;

/// Sets what is missing and has a default; drops nulls that are not allowed.
pub(crate) fn apply_defaults(node: Node<'_>, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let names: Vec<&String> = node.properties().collect();
            for name in names {
                let Some(property) = node.property(name) else {
                    continue;
                };
                let bare_null = map
                    .get(name)
                    .is_some_and(|member| member.is_null() && !property.nullable());
                if let Some(default) = property.default_value()
                    && (bare_null || !map.contains_key(name))
                {
                    map.insert(name.clone(), default.clone());
                } else if bare_null {
                    map.remove(name);
                }
            }
            for (key, member) in map.iter_mut() {
                apply_defaults(node.member(key), member);
            }
        }
        Value::Array(items) => {
            items
                .iter_mut()
                .for_each(|item| apply_defaults(node.items(), item));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Builtins;
    use serde_json::json;

    #[test]
    fn defaults_are_set_at_every_depth() {
        let builtins = Builtins::load().unwrap();
        let schema = json!({"type": "object", "properties": {"spec": {
            "type": "object", "default": {}, "properties": {
                "n": {"type": "integer", "default": 3},
                "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"default": "v"}}}},
                "null": {"type": "string"},
        }}}});
        let mut object = json!({});
        apply_defaults(Node::of(&schema, &builtins), &mut object);
        assert_eq!(object, json!({"spec": {"n": 3}}));
        let mut object = json!({"spec": {"n": null, "list": [{}], "null": null}});
        apply_defaults(Node::of(&schema, &builtins), &mut object);
        assert_eq!(object, json!({"spec": {"n": 3, "list": [{"k": "v"}]}}));
    }
}
