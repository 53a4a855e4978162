//! Scripts: lists of requests, replayed one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::normalise::Normaliser;

/// Longer than any answer takes; a watch has a `timeoutSeconds` of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the step is about.
    pub name: String,
    #[serde(default = "get")]
    pub method: String,
    /// Path and query; `${x}` stands for what an earlier step captured.
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Option<Value>,
    /// Sent as it is, instead of `body`.
    #[serde(default)]
    pub raw: Option<String>,
    /// Name -> JSON pointer into the answer.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
    /// Only the status code and the reason are compared: the message is a detail of Go.
    #[serde(default)]
    pub loose: bool,
    /// Repeats the request, for a second at most, until the answer has this value at this pointer.
    #[serde(default)]
    pub until: Option<(String, Value)>,
    /// JSON pointers that are not compared, with the reason as a comment in the script.
    #[serde(default)]
    pub ignore: Vec<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// Reads a script.
pub fn read(path: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replays a script; gives the normalised answers.
pub async fn replay(client: &Client, steps: &[Step]) -> Vec<Value> {
    let mut captured = BTreeMap::new();
    let mut normaliser = Normaliser::default();
    let mut answers = Vec::new();
    for step in steps {
        let (raw, answer) = ask_until(client, step, &captured).await;
        for (name, pointer) in &step.capture {
            let value = raw
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{}: nothing at {pointer} to capture: {raw}", step.name));
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            captured.insert(name.clone(), text);
        }
        let mut answer = normaliser.answer(answer);
        answer["step"] = json!(step.name);
        if step.loose {
            let reason = answer.pointer("/body/reason").cloned();
            answer["body"] = json!({"reason": reason});
        }
        for pointer in &step.ignore {
            remove(&mut answer, pointer);
        }
        answers.push(answer);
    }
    answers
}

/// Removes what a pointer leads to; `*` stands for every item of a list.
fn remove(value: &mut Value, pointer: &str) {
    let Some((head, tail)) = pointer
        .trim_start_matches('/')
        .split_once('/')
        .or(Some((pointer.trim_start_matches('/'), "")))
    else {
        return;
    };
    match value {
        Value::Array(items) if head == "*" => items.iter_mut().for_each(|item| remove(item, tail)),
        Value::Array(items) => {
            if let Some(item) = head.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                remove(item, tail);
            }
        }
        Value::Object(map) if tail.is_empty() => {
            map.remove(head);
        }
        Value::Object(map) => {
            if let Some(member) = map.get_mut(head) {
                remove(member, tail);
            }
        }
        _ => {}
    }
}

async fn ask_until(
    client: &Client,
    step: &Step,
    captured: &BTreeMap<String, String>,
) -> (Value, Value) {
    for _ in 0..20 {
        let (body, answer) = ask(client, step, captured).await;
        let met = step
            .until
            .as_ref()
            .is_none_or(|(pointer, wanted)| body.pointer(pointer) == Some(wanted));
        if met {
            return (body, answer);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    ask(client, step, captured).await
}

/// The body as it came, and the whole answer.
async fn ask(client: &Client, step: &Step, captured: &BTreeMap<String, String>) -> (Value, Value) {
    let fill = |text: &str| {
        captured
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${{{name}}}"), value)
            })
    };
    let body = match (&step.raw, &step.body) {
        (Some(raw), _) => fill(raw),
        (None, Some(body)) => fill(&body.to_string()),
        (None, None) => String::new(),
    };
    let mut request = http::Request::builder()
        .method(step.method.as_str())
        .uri(fill(&step.path))
        .header("user-agent", "script/1.0");
    let patch_type = step
        .headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"));
    if !patch_type && !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &step.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body.into_bytes())).unwrap();
    let answer = tokio::time::timeout(PATIENCE, async {
        let response = client.send(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    });
    let Ok((parts, bytes)) = answer.await else {
        panic!("{}: no answer within {PATIENCE:?}", step.name)
    };
    let warnings: Vec<String> = parts
        .headers
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap_or_default().to_owned())
        .filter(|warning| !warning.contains("herald stand-in:"))
        .collect();
    let body = parse(&bytes);
    let answer = json!({"code": parts.status.as_u16(), "warnings": warnings, "body": body});
    (body, answer)
}

/// One JSON value, or a list of them where there is one per line, or the text.
fn parse(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    let text = String::from_utf8_lossy(bytes);
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.map_or_else(|_| json!(text), Value::Array)
}
