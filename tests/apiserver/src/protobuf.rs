//! Bodies in Kubernetes' protobuf: kubectl's typed commands (`create namespace`, ...) send them.
//!
//! Only reading: every answer is JSON, which all clients take. The fields of the messages are in
//! `protobuf/messages.txt`. Follows `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`.

mod wire;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::fields;
use crate::status_error::StatusError;
use wire::{Field, Payload, fields_of};

/// What every body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The generated table, read once. It never changes.
static MESSAGES: LazyLock<BTreeMap<&str, BTreeMap<u64, Member>>> = LazyLock::new(|| {
    include_str!("protobuf/messages.txt")
        .lines()
        .filter_map(message)
        .collect()
});

/// A field of a message.
#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    /// In the letters of the table.
    kind: &'static str,
    omits_zero: bool,
}

fn message(line: &'static str) -> Option<(&'static str, BTreeMap<u64, Member>)> {
    let mut words = line.split(' ').filter(|_| !line.starts_with('#'));
    let name = words.next()?;
    let members = words.filter_map(|word| {
        let mut parts = word.splitn(3, ':');
        let number = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let kind = parts.next()?;
        let bare = kind.strip_prefix('~');
        let member = Member {
            name,
            kind: bare.unwrap_or(kind),
            omits_zero: bare.is_some(),
        };
        Some((number, member))
    });
    Some((name, members.collect()))
}

/// A body as JSON.
pub(crate) fn decode(body: &[u8]) -> Result<Value, StatusError> {
    let bad =
        |why: &str| StatusError::bad_request(format!("unable to read the protobuf body: {why}"));
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("it does not start with k8s\\0"))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in fields_of(envelope).ok_or_else(|| bad("malformed envelope"))? {
        match (field.number, field.payload) {
            (1, Payload::Bytes(meta)) => {
                for field in fields_of(meta).ok_or_else(|| bad("malformed type"))? {
                    match field {
                        Field {
                            number: 1,
                            payload: Payload::Bytes(text),
                        } => {
                            api_version = String::from_utf8_lossy(text).into_owned();
                        }
                        Field {
                            number: 2,
                            payload: Payload::Bytes(text),
                        } => {
                            kind = String::from_utf8_lossy(text).into_owned();
                        }
                        _ => {}
                    }
                }
            }
            (2, Payload::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let group = api_version
        .split_once('/')
        .map_or("core", |(group, _)| group);
    let package = group.split('.').next().unwrap_or_default();
    let name = if kind == "DeleteOptions" {
        "meta.DeleteOptions".to_owned()
    } else {
        format!("{package}.{kind}")
    };
    if !MESSAGES.contains_key(name.as_str()) {
        return Err(StatusError::not_implemented(format!(
            "{api_version} {kind} in protobuf"
        )));
    }
    let mut object = decode_message(&name, raw).ok_or_else(|| bad("malformed object"))?;
    fields::set(&mut object, &["apiVersion"], json!(api_version));
    fields::set(&mut object, &["kind"], json!(kind));
    Ok(object)
}

fn decode_message(name: &str, bytes: &[u8]) -> Option<Value> {
    let members = MESSAGES.get(name)?;
    let mut object = Map::new();
    for field in fields_of(bytes)? {
        let Some(member) = members.get(&field.number) else {
            continue;
        };
        let kind = member.kind;
        if member.name.is_empty() {
            // An embedded message: its members are the object's own.
            if let Value::Object(inner) = decode_value(kind, &field.payload)? {
                object.extend(inner);
            }
        } else if let Some(items) = kind.strip_prefix('*') {
            let item = decode_value(items, &field.payload)?;
            let list = object.entry(member.name).or_insert_with(|| json!([]));
            list.as_array_mut()?.push(item);
        } else if let Some(values) = kind.strip_prefix('%') {
            let (key, value) = decode_entry(values, &field.payload)?;
            let map = object.entry(member.name).or_insert_with(|| json!({}));
            map.as_object_mut()?.insert(key, value);
        } else {
            let value = decode_value(kind, &field.payload)?;
            if !(member.omits_zero && is_zero(&value)) {
                object.insert(member.name.to_owned(), value);
            }
        }
    }
    Some(Value::Object(object))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn decode_entry(kind: &str, payload: &Payload<'_>) -> Option<(String, Value)> {
    let Payload::Bytes(bytes) = payload else {
        return None;
    };
    let (mut key, mut value) = (String::new(), Value::Null);
    for field in fields_of(bytes)? {
        match field {
            Field {
                number: 1,
                payload: Payload::Bytes(text),
            } => {
                key = String::from_utf8(text.to_vec()).ok()?;
            }
            Field { number: 2, payload } => value = decode_value(kind, &payload)?,
            _ => {}
        }
    }
    if value.is_null() && matches!(kind, "s" | "y") {
        value = json!("");
    }
    Some((key, value))
}

fn decode_value(kind: &str, payload: &Payload<'_>) -> Option<Value> {
    match (kind, payload) {
        ("s", Payload::Bytes(text)) => Some(json!(std::str::from_utf8(text).ok()?)),
        ("y", Payload::Bytes(bytes)) => Some(json!(BASE64.encode(bytes))),
        ("i", Payload::Varint(number)) => Some(json!(number.cast_signed())),
        ("b", Payload::Varint(number)) => Some(json!(*number != 0)),
        ("T" | "U", Payload::Bytes(bytes)) => decode_time(kind, bytes),
        ("O", Payload::Bytes(bytes)) => decode_int_or_string(bytes),
        ("Q", Payload::Bytes(bytes)) => Some(json!(text_at(bytes, 1)?)),
        ("D", Payload::Bytes(bytes)) => Some(json!(number_at(bytes, 1)?)),
        ("R", Payload::Bytes(bytes)) => {
            let raw = fields_of(bytes)?
                .into_iter()
                .find_map(|field| match field.payload {
                    Payload::Bytes(raw) if field.number == 1 => Some(raw),
                    _ => None,
                });
            serde_json::from_slice(raw?).ok()
        }
        (kind, Payload::Bytes(bytes)) => decode_message(kind.strip_prefix('@')?, bytes),
        _ => None,
    }
}

fn number_at(bytes: &[u8], number: u64) -> Option<i64> {
    let found = fields_of(bytes)?
        .into_iter()
        .find_map(|field| match field.payload {
            Payload::Varint(value) if field.number == number => Some(value.cast_signed()),
            _ => None,
        });
    Some(found.unwrap_or_default())
}

fn text_at(bytes: &[u8], number: u64) -> Option<String> {
    let found = fields_of(bytes)?
        .into_iter()
        .find_map(|field| match field.payload {
            Payload::Bytes(text) if field.number == number => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        });
    Some(found.unwrap_or_default())
}

/// An empty message is the zero time, which JSON shows as null.
fn decode_time(kind: &str, bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    let (seconds, nanos) = (number_at(bytes, 1)?, number_at(bytes, 2)?);
    let time = jiff::Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
    Some(json!(if kind == "U" {
        format!("{time:.6}")
    } else {
        format!("{time:.0}")
    }))
}

fn decode_int_or_string(bytes: &[u8]) -> Option<Value> {
    let is_text = number_at(bytes, 1)? == 1;
    Some(if is_text {
        json!(text_at(bytes, 3)?)
    } else {
        json!(number_at(bytes, 2)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length-delimited field.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    #[test]
    fn a_service_is_read() {
        let port = [
            field(1, b"http"),
            field(2, b"TCP"),
            vec![3 << 3, 80],
            field(4, &[1 << 3, 0, 2 << 3, 0]),
        ]
        .concat();
        let label = field(2, &[field(1, b"app"), field(2, b"web")].concat());
        let spec = [
            field(1, &port),
            label,
            field(4, b"LoadBalancer"),
            field(7, b""),
        ]
        .concat();
        // allocateLoadBalancerNodePorts (20) is a pointer: its false is a value.
        let spec = [spec, vec![0xA0, 0x01, 0]].concat();
        let meta = [field(1, b"web"), field(2, b""), field(8, b"")].concat();
        let raw = [field(1, &meta), field(2, &spec), field(3, &field(1, b""))].concat();
        let kind = [field(1, b"v1"), field(2, b"Service")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &raw)].concat();
        assert_eq!(
            decode(&body).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                "spec": {
                    "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
                    "selector": {"app": "web"}, "type": "LoadBalancer",
                    "allocateLoadBalancerNodePorts": false,
                },
                "status": {"loadBalancer": {}},
            })
        );
        assert_eq!(decode(b"nonsense").unwrap_err().code, 400);
        let unknown = [field(1, b"x/v1"), field(2, b"Y")].concat();
        assert_eq!(
            decode(&[MAGIC.to_vec(), field(1, &unknown)].concat())
                .unwrap_err()
                .code,
            501
        );
    }
}
