//! Objects in scripts: the kinds, their short forms, and how a step names one.

use std::net::IpAddr;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

/// A kind that scripts know.
#[derive(Debug)]
pub struct Kind {
    /// What steps call it.
    pub word: &'static str,
    pub kind: &'static str,
    pub api_version: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
}

const fn kind(
    word: &'static str,
    kind: &'static str,
    api_version: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Kind {
    Kind {
        word,
        kind,
        api_version,
        plural,
        namespaced,
    }
}

const HERALD: &str = "herald.dev/v1alpha1";
pub static SERVICE: Kind = kind("service", "Service", "v1", "services", true);
pub static POOL: Kind = kind("pool", "AddressPool", HERALD, "addresspools", false);
pub static LOCK: Kind = kind(
    "lock",
    "AddressAllocation",
    HERALD,
    "addressallocations",
    false,
);
pub static NAMESPACE: Kind = kind("namespace", "Namespace", "v1", "namespaces", false);
pub static NODE: Kind = kind("node", "Node", "v1", "nodes", false);
pub static ANNOUNCEMENTS: Kind = kind(
    "announcements",
    "NodeAnnouncements",
    HERALD,
    "nodeannouncements",
    false,
);
pub static SLICE: Kind = kind(
    "slice",
    "EndpointSlice",
    "discovery.k8s.io/v1",
    "endpointslices",
    true,
);
pub static EVENT: Kind = kind("event", "Event", "events.k8s.io/v1", "events", true);
pub static LEASE: Kind = kind("lease", "Lease", "coordination.k8s.io/v1", "leases", true);

/// Those that scripts may write.
pub static KINDS: [&Kind; 7] = [
    &SERVICE,
    &POOL,
    &LOCK,
    &NAMESPACE,
    &NODE,
    &ANNOUNCEMENTS,
    &SLICE,
];

/// One object.
#[derive(Clone, Debug)]
pub struct Target {
    pub kind: &'static Kind,
    /// Empty for what has none.
    pub namespace: String,
    pub name: String,
}

impl Kind {
    /// Where the kind is served.
    pub fn path(&self, namespace: &str) -> String {
        let root = match self.api_version {
            "v1" => "/api/v1".to_owned(),
            grouped => format!("/apis/{grouped}"),
        };
        match namespace {
            "" => format!("{root}/{}", self.plural),
            namespace => format!("{root}/namespaces/{namespace}/{}", self.plural),
        }
    }
}

impl Target {
    /// `web` or `team-a/web`; an address for a lock.
    pub fn new(kind: &'static Kind, text: &str) -> anyhow::Result<Self> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) if kind.namespaced => (namespace, name),
            Some(_) => bail!("{} {text} has no namespace", kind.word),
            None if kind.namespaced => ("default", text),
            None => ("", text),
        };
        let mut name = name.to_owned();
        if kind.kind == LOCK.kind {
            // Locks of ports on nodes have other names.
            if let Ok(address) = name.parse() {
                name = herald::api::object_name(address);
            }
        }
        Ok(Self {
            kind,
            namespace: namespace.to_owned(),
            name,
        })
    }

    /// As people write it.
    pub fn text(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind.word, self.name),
            namespace => format!("{} {namespace}/{}", self.kind.word, self.name),
        }
    }
}

/// Takes the entry that names an object out of a step's body.
pub fn split_target(body: Value) -> anyhow::Result<(Target, Map<String, Value>)> {
    let Value::Object(mut map) = body else {
        bail!("a map is needed, not {body}");
    };
    let words: Vec<_> = KINDS
        .iter()
        .filter(|k| map.get(k.word).is_some_and(Value::is_string))
        .collect();
    match words.as_slice() {
        [kind] => {
            let text = map.remove(kind.word).unwrap_or_default();
            Ok((Target::new(kind, text.as_str().unwrap_or_default())?, map))
        }
        [] => bail!("names no object: one of service, pool, namespace, node, lock is needed"),
        _ => bail!("names two objects"),
    }
}

/// The full object, and its status, which is written on its own.
pub fn expand(short: &Value) -> anyhow::Result<(Value, Option<Value>)> {
    let mut short = long_strings(short.clone());
    let map = short.as_object_mut().context("an object is a map")?;
    let word = map.get("kind").and_then(Value::as_str).context("no kind")?;
    let kind = *KINDS
        .iter()
        .find(|k| k.kind == word)
        .with_context(|| format!("scripts do not know the kind {word}"))?;
    map.insert("apiVersion".into(), kind.api_version.into());
    if !map.contains_key("metadata") {
        let mut metadata = Map::new();
        for key in ["name", "namespace", "labels", "annotations", "finalizers"] {
            if let Some(value) = map.remove(key) {
                metadata.insert(key.into(), value);
            }
        }
        map.insert("metadata".into(), metadata.into());
    }
    const KNOWN: [&str; 12] = [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "addressType",
        "endpoints",
        "ports",
        "address",
        "pool",
        "holders",
        "reservedUntil",
    ];
    if let Some(unknown) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        bail!("{}: unknown {unknown:?}", kind.kind);
    }
    if kind.namespaced && map["metadata"]["namespace"].is_null() {
        map["metadata"]["namespace"] = "default".into();
    }
    match kind.kind {
        "Service" => fill_service(map),
        "AddressAllocation" => fill_lock(map)?,
        "NodeAnnouncements" => {
            map.entry("spec").or_insert_with(|| json!({}));
        }
        "EndpointSlice" => {
            map.entry("addressType").or_insert_with(|| "IPv4".into());
            map.entry("ports").or_insert_with(|| json!([]));
        }
        _ => {}
    }
    let status = map.remove("status");
    Ok((short, status))
}

/// A Service is a LoadBalancer on port 80 unless it says otherwise.
fn fill_service(map: &mut Map<String, Value>) {
    let spec = map.entry("spec").or_insert_with(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("type").or_insert_with(|| "LoadBalancer".into());
        spec.entry("ports")
            .or_insert_with(|| json!([{ "port": 80, "protocol": "TCP" }]));
    }
}

/// A lock is named after its address.
fn fill_lock(map: &mut Map<String, Value>) -> anyhow::Result<()> {
    let mut spec = Map::new();
    for key in ["address", "pool", "holders", "reservedUntil"] {
        if let Some(value) = map.remove(key) {
            spec.insert(key.into(), value);
        }
    }
    let address = spec.get("address").and_then(Value::as_str);
    let address: IpAddr = address.context("a lock needs its address")?.parse()?;
    map["metadata"]["name"] = herald::api::object_name(address).into();
    map.insert("spec".into(), spec.into());
    Ok(())
}

/// `{repeat: x, times: 3}` becomes `xxx`, at any depth.
pub fn long_strings(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let repeat = map.get("repeat").and_then(Value::as_str);
            let times = map.get("times").and_then(Value::as_u64);
            if let (2, Some(repeat), Some(times)) = (map.len(), repeat, times) {
                return repeat.repeat(usize::try_from(times).unwrap_or(0)).into();
            }
            let entries = map.into_iter().map(|(key, v)| (key, long_strings(v)));
            Value::Object(entries.collect())
        }
        Value::Array(list) => list.into_iter().map(long_strings).collect(),
        other => other,
    }
}

/// Applies a change to every string, at any depth.
pub fn each_string(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(list) => list.iter_mut().for_each(|v| each_string(v, change)),
        Value::Object(map) => map.values_mut().for_each(|v| each_string(v, change)),
        _ => {}
    }
}
