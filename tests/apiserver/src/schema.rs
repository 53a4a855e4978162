//! What is known of the shape of objects: OpenAPI schemas of built-in types and of definitions.
//!
//! `builtin.json` is generated (tests/builtin_schema.rs). A [`Node`] is a place in a schema; where
//! nothing is known the shape is deduced, as structured-merge-diff does: maps by key, lists whole.

pub(crate) mod decoding;
pub(crate) mod defaulting;
pub(crate) mod pruning;
pub(crate) mod validation;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::resource::{Origin, Resource};
use crate::status_error::StatusError;

const BUILTIN_JSON: &str = include_str!("schema/builtin.json");
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The definitions of the built-in types by their OpenAPI names.
#[derive(Debug)]
pub(crate) struct Builtins {
    definitions: BTreeMap<String, Value>,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListKind<'a> {
    Atomic,
    Set,
    Map(Vec<&'a str>),
}

/// A place in a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    schema: Option<&'a Value>,
    builtins: &'a Builtins,
    /// The root of an object, whose `metadata` is ObjectMeta whatever its schema says.
    object_root: bool,
}

impl Builtins {
    /// Reads the generated file.
    pub(crate) fn load() -> Result<Self, StatusError> {
        let definitions = serde_json::from_str(BUILTIN_JSON).map_err(StatusError::internal)?;
        Ok(Self { definitions })
    }

    /// One definition.
    pub(crate) fn definition(&self, name: &str) -> Option<&Value> {
        self.definitions.get(name)
    }

    /// The root of a resource's objects.
    pub(crate) fn root<'a>(&'a self, resource: &'a Resource) -> Node<'a> {
        let schema = match &resource.origin {
            Origin::Custom(version) => Some(&version.schema),
            Origin::Builtin => self.definitions.get(&definition_name(
                &resource.group,
                &resource.version,
                &resource.kind,
            )),
        };
        Node {
            schema,
            builtins: self,
            object_root: true,
        }
    }
}

impl<'a> Node<'a> {
    /// A root over a schema that is not (yet) a resource's.
    pub(crate) fn of(schema: &'a Value, builtins: &'a Builtins) -> Self {
        Self {
            schema: Some(schema),
            builtins,
            object_root: true,
        }
    }

    /// The schema at this place, references followed.
    pub(crate) fn schema(&self) -> Option<&'a Value> {
        let schema = self.schema?;
        match schema.get("$ref").and_then(Value::as_str) {
            // Members beside a reference (list types, defaults) stay readable through `own`.
            Some(reference) => self
                .builtins
                .definition(reference.rsplit('/').next().unwrap_or_default()),
            None => Some(schema),
        }
    }

    /// A key of the schema here: beside a reference first, then in what it leads to.
    pub(crate) fn own(&self, key: &str) -> Option<&'a Value> {
        self.schema?.get(key).or_else(|| self.schema()?.get(key))
    }

    fn flag(&self, key: &str) -> bool {
        self.own(key).and_then(Value::as_bool).unwrap_or_default()
    }

    fn at(&self, schema: Option<&'a Value>) -> Self {
        Self {
            schema,
            builtins: self.builtins,
            object_root: false,
        }
    }

    /// The same place under another schema, as `allOf` and its like have.
    pub(crate) fn with(&self, schema: &'a Value) -> Self {
        Self {
            schema: Some(schema),
            ..*self
        }
    }

    /// The place of a declared member.
    pub(crate) fn property(&self, name: &str) -> Option<Self> {
        if self.object_root || self.flag("x-kubernetes-embedded-resource") {
            match name {
                "metadata" => return Some(self.at(self.builtins.definition(OBJECT_META))),
                "apiVersion" | "kind" => return Some(self.at(None)),
                _ => {}
            }
        }
        self.schema()?
            .get("properties")?
            .get(name)
            .map(|schema| self.at(Some(schema)))
    }

    /// The place of any other member: `additionalProperties`, or unknown.
    pub(crate) fn additional(&self) -> Option<Self> {
        match self.schema()?.get("additionalProperties") {
            Some(Value::Object(_)) => Some(self.at(self.schema()?.get("additionalProperties"))),
            Some(Value::Bool(true)) => Some(self.at(None)),
            _ => None,
        }
    }

    /// The place of a member, declared or not; unknown shapes are deduced.
    pub(crate) fn member(&self, name: &str) -> Self {
        self.property(name)
            .or_else(|| self.additional())
            .unwrap_or_else(|| self.at(None))
    }

    /// The place of a list's items.
    pub(crate) fn items(&self) -> Self {
        let items = self.schema().and_then(|schema| schema.get("items"));
        self.at(items)
    }

    /// How the list here is merged by server-side apply.
    pub(crate) fn list_kind(&self) -> ListKind<'a> {
        match self.own("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListKind::Set,
            Some("map") => {
                let keys = self
                    .own("x-kubernetes-list-map-keys")
                    .and_then(Value::as_array);
                let keys = keys
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                ListKind::Map(keys)
            }
            _ => ListKind::Atomic,
        }
    }

    /// Whether the map here is one leaf for server-side apply.
    pub(crate) fn is_atomic_map(&self) -> bool {
        self.own("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic")
    }

    /// The declared JSON type.
    pub(crate) fn type_name(&self) -> Option<&'a str> {
        self.own("type").and_then(Value::as_str)
    }

    /// Whether an integer and a string are both right here.
    pub(crate) fn is_int_or_string(&self) -> bool {
        self.flag("x-kubernetes-int-or-string")
            || self.own("format").and_then(Value::as_str) == Some("int-or-string")
    }

    /// Whether members that are not declared are kept.
    pub(crate) fn preserves_unknown(&self) -> bool {
        self.flag("x-kubernetes-preserve-unknown-fields")
    }

    /// Whether null is a value here.
    pub(crate) fn nullable(&self) -> bool {
        self.flag("nullable")
    }

    /// Whether the object here is a whole Kubernetes object.
    pub(crate) fn is_embedded(&self) -> bool {
        self.flag("x-kubernetes-embedded-resource")
    }

    /// The default here.
    pub(crate) fn default_value(&self) -> Option<&'a Value> {
        self.own("default")
    }

    /// Whether anything is known here.
    pub(crate) fn is_known(&self) -> bool {
        self.schema().is_some_and(|schema| schema.is_object()) || self.object_root
    }

    /// Whether any JSON may stand here.
    pub(crate) fn is_free(&self) -> bool {
        let shaped = [
            "type",
            "properties",
            "additionalProperties",
            "x-kubernetes-int-or-string",
        ];
        !self.object_root && !shaped.iter().any(|key| self.own(key).is_some())
    }

    /// Whether declared members exist here, that is: this is a struct.
    pub(crate) fn is_struct(&self) -> bool {
        self.object_root
            || self
                .schema()
                .is_some_and(|schema| schema.get("properties").is_some())
    }

    /// The names of the declared members.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &'a String> {
        let properties = self.schema().and_then(|schema| schema.get("properties"));
        properties
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|map| map.keys())
    }
}

/// The OpenAPI name of a built-in type.
pub(crate) fn definition_name(group: &str, version: &str, kind: &str) -> String {
    let package = match group {
        "" => "io.k8s.api.core".to_owned(),
        "apiextensions.k8s.io" => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned()
        }
        other => {
            format!("io.k8s.api.{}", other.split('.').next().unwrap_or_default())
        }
    };
    format!("{package}.{version}.{kind}")
}
