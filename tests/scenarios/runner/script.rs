//! A script as it is written: its name, what it needs, and its steps. `tests/scenarios/README.md` is the reference.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::object::{Target, split_target};

/// One file.
#[derive(Clone, Debug)]
pub struct Script {
    /// Relative to the folder of the scripts.
    pub file: String,
    pub name: String,
    /// Why it is not run on a real control plane.
    pub standin_only: Option<String>,
    /// Why it is not run on the stand-in.
    pub real_only: Option<String>,
    pub steps: Vec<(Step, usize)>,
}

/// What a script does or expects, in the order in which it is written.
#[derive(Clone, Debug)]
pub enum Step {
    Apply(Vec<Value>),
    ApplyMany(Many),
    Refused(Refused),
    Replace(Vec<Value>),
    Annotate(Target, Map<String, Value>),
    Label(Target, Map<String, Value>),
    Patch(Target, Value),
    WriteStatus(Target, String, Value),
    Delete(Vec<Target>),
    Expect(Box<Expect>),
    ExpectPool(Box<ExpectPool>),
    ExpectEvent(ExpectEvent),
    ExpectLocks(BTreeMap<String, Value>),
    ExpectTally(BTreeMap<String, Value>),
    ExpectObject(Target, Value),
    Settle(f64),
    Unchanged(Option<Target>),
    Restart,
    Standby,
    Controller(Run),
    Wait(f64),
}

/// Many objects from one, every `%` in it replaced by a number from 0.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Many {
    pub count: usize,
    /// How many on a real control plane.
    pub real: Option<usize>,
    pub object: Value,
}

/// An object that the API server must not take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub object: Value,
    pub words: Words,
}

/// A Service as a user sees it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    pub service: String,
    pub addresses: Option<Vec<String>>,
    /// How many addresses, whichever they are.
    pub count: Option<usize>,
    pub hostnames: Option<Vec<String>>,
    /// Which condition; Herald's AddressAllocated unless told otherwise.
    pub condition: Option<String>,
    /// `none`: there is no such condition.
    pub reason: Option<String>,
    pub status: Option<Flag>,
    pub message: Option<Words>,
    pub message_lacks: Option<Words>,
    /// `none`: there is no such annotation.
    pub allocated_from: Option<String>,
    pub same_address_as: Option<String>,
    pub other_address_than: Option<String>,
    /// A part of the object; null: not there.
    pub has: Option<Value>,
}

/// A pool as a user sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectPool {
    pub pool: String,
    pub ready: Option<Flag>,
    pub reason: Option<String>,
    pub message: Option<Words>,
    pub degraded: Option<Flag>,
    pub degraded_reason: Option<String>,
    pub degraded_message: Option<Words>,
    pub ipv4: Option<Value>,
    pub ipv6: Option<Value>,
}

/// Events about a Service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectEvent {
    pub service: String,
    pub reason: Option<String>,
    #[serde(rename = "type")]
    pub type_: Option<String>,
    pub message: Option<Words>,
    /// Left out: at least one.
    pub count: Option<usize>,
}

/// One piece of text or several, each of which must be found.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    One(String),
    All(Vec<String>),
}

/// `True`, `"True"` or `Unknown`: YAML readers differ on the first.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Flag {
    Bool(bool),
    Text(String),
}

/// How the controller runs from here on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Run {
    Word(Stopped),
    With(RunOptions),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    Stopped,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunOptions {
    pub default_provider: Option<String>,
}

impl Words {
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::All(words) => words,
        }
    }
}

impl Flag {
    pub fn text(&self) -> &str {
        match self {
            Self::Bool(true) => "True",
            Self::Bool(false) => "False",
            Self::Text(text) => text,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Header {
    name: String,
    standin_only: Option<String>,
    real_only: Option<String>,
    steps: Vec<Value>,
}

/// Reads every script below a folder, in the order of their names; tells of all that cannot be read.
pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Script>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut scripts = Vec::new();
    let mut faults = Vec::new();
    for path in files {
        let file = path.strip_prefix(folder)?.display().to_string();
        match read(&file, &std::fs::read_to_string(&path)?) {
            Ok(script) => scripts.push(script),
            Err(fault) => faults.push(format!("{fault:#}")),
        }
    }
    match faults.as_slice() {
        [] => Ok(scripts),
        faults => bail!("{}", faults.join("\n")),
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads one script.
pub fn read(file: &str, text: &str) -> anyhow::Result<Script> {
    let whole: Value = serde_saphyr::from_str(text).with_context(|| file.to_owned())?;
    let header: Header = serde_json::from_value(whole).with_context(|| file.to_owned())?;
    let lines = step_lines(text);
    let mut steps = Vec::new();
    for (index, value) in header.steps.into_iter().enumerate() {
        let line = lines.get(index).copied().unwrap_or(0);
        let step =
            step(value).with_context(|| format!("{file}, step {} (line {line})", index + 1))?;
        steps.push((step, line));
    }
    Ok(Script {
        file: file.to_owned(),
        name: header.name,
        standin_only: header.standin_only,
        real_only: header.real_only,
        steps,
    })
}

/// The lines on which steps begin, by the indentation of the first.
fn step_lines(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    let mut steps = lines.skip_while(|(_, line)| line.trim_end() != "steps:");
    steps.next();
    let steps: Vec<_> = steps.collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let first = steps
        .iter()
        .find(|(_, line)| line.trim_start().starts_with("- "));
    let Some(first) = first.map(|(_, line)| indent(line)) else {
        return Vec::new();
    };
    steps
        .iter()
        .filter(|(_, line)| indent(line) == first && line.trim_start().starts_with("- "))
        .map(|(number, _)| number + 1)
        .collect()
}

fn step(value: Value) -> anyhow::Result<Step> {
    let Value::Object(map) = value else {
        bail!("a step is a map with one key, not {value}");
    };
    let mut entries = map.into_iter();
    let (Some((word, body)), None) = (entries.next(), entries.next()) else {
        bail!("a step is a map with exactly one key");
    };
    let read = step_of(&word, body);
    read.with_context(|| word)
}

fn step_of(word: &str, body: Value) -> anyhow::Result<Step> {
    let rest = |body| -> anyhow::Result<(Target, Map<String, Value>)> { split_target(body) };
    Ok(match word {
        "apply" => Step::Apply(serde_json::from_value(body)?),
        "apply-many" => Step::ApplyMany(serde_json::from_value(body)?),
        "refused" => Step::Refused(serde_json::from_value(body)?),
        "replace" => Step::Replace(serde_json::from_value(body)?),
        "annotate" => rest(body).map(|(target, rest)| Step::Annotate(target, rest))?,
        "label" => rest(body).map(|(target, rest)| Step::Label(target, rest))?,
        "patch" => rest(body).map(|(target, rest)| Step::Patch(target, rest.into()))?,
        "write-status" => {
            let (target, mut rest) = rest(body)?;
            let manager = rest.remove("as");
            let manager = manager.as_ref().and_then(Value::as_str);
            let manager = manager.unwrap_or("another-controller").to_owned();
            Step::WriteStatus(target, manager, rest.into())
        }
        "delete" => {
            let list = match body {
                Value::Array(list) => list,
                one => vec![one],
            };
            let targets = list.into_iter().map(|one| match split_target(one)? {
                (target, rest) if rest.is_empty() => Ok(target),
                (_, rest) => Err(anyhow!("unknown {:?}", rest.keys())),
            });
            Step::Delete(targets.collect::<anyhow::Result<_>>()?)
        }
        "expect" => Step::Expect(serde_json::from_value(body)?),
        "expect-pool" => Step::ExpectPool(serde_json::from_value(body)?),
        "expect-event" => Step::ExpectEvent(serde_json::from_value(body)?),
        "expect-locks" => Step::ExpectLocks(serde_json::from_value(body)?),
        "expect-tally" => Step::ExpectTally(serde_json::from_value(body)?),
        "expect-object" => rest(body).map(|(t, rest)| Step::ExpectObject(t, rest.into()))?,
        "settle" => Step::Settle(seconds(&body)?.unwrap_or(0.7)),
        "wait" => Step::Wait(seconds(&body)?.ok_or_else(|| anyhow!("how many seconds?"))?),
        "unchanged" if body.as_object().is_some_and(Map::is_empty) => Step::Unchanged(None),
        "unchanged" => match split_target(body)? {
            (target, rest) if rest.is_empty() => Step::Unchanged(Some(target)),
            (_, rest) => bail!("unknown {:?}", rest.keys()),
        },
        "restart" if body.as_object().is_some_and(Map::is_empty) => Step::Restart,
        "standby" if body.as_object().is_some_and(Map::is_empty) => Step::Standby,
        "standby" | "restart" => bail!("takes nothing: write {{}}"),
        "controller" => Step::Controller(serde_json::from_value(body)?),
        _ => bail!("no such step"),
    })
}

fn seconds(body: &Value) -> anyhow::Result<Option<f64>> {
    let Some(map) = body.as_object() else {
        bail!("write {{}} or {{seconds: 3}}");
    };
    match (map.len(), map.get("seconds").and_then(Value::as_f64)) {
        (0, _) => Ok(None),
        (1, Some(seconds)) => Ok(Some(seconds)),
        _ => bail!("write {{}} or {{seconds: 3}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (steps, words) in [
            (
                "  - exect: {service: web}",
                "step 1 (line 3): exect: no such step",
            ),
            (
                "  - restart: {}\n  - expect: {service: web, reson: X}",
                "step 2 (line 4)",
            ),
            ("  - settle: {seconds: x}", "write {} or"),
            ("  - delete: {servce: web}", "names no object"),
            ("  - delete: {service: web, pool: lan}", "names two objects"),
            ("  - unchanged: {service: web, kind: x}", "unknown"),
        ] {
            let text = format!("name: x\nsteps:\n{steps}\n");
            let fault = format!("{:#}", read("a.yaml", &text).unwrap_err());
            assert!(fault.contains(words), "{fault}");
        }
        let fault = format!("{:#}", read("a.yaml", "name: x\nsetps: []\n").unwrap_err());
        assert!(fault.contains("setps"), "{fault}");
    }
}
