//! Helm itself, as Python carries it.

use std::{collections::BTreeMap, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::{Value, json};

use crate::venv;

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/herald");

/// Helm's engine. `None`, said aloud, where it cannot be had.
#[derive(Clone, Debug)]
pub struct Helm(PathBuf);

impl Helm {
    pub fn found() -> Option<Self> {
        static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
        let found = FOUND.get_or_init(|| {
            let requirements = include_str!("requirements.txt");
            venv::python(
                env!("CARGO_TARGET_TMPDIR"),
                "helm",
                "helm-python-sdk",
                requirements,
            )
        });
        found.clone().map(Self)
    }

    /// Every template with what it comes to, or why Helm refuses.
    pub fn render(&self, values: &Value) -> Result<BTreeMap<String, String>, String> {
        let answer = self.ask(json!({ "do": "render", "values": values }))?;
        Ok(serde_json::from_value(answer["files"].clone()).unwrap())
    }

    /// What `helm lint` says.
    pub fn lint(&self, values: &Value) -> Vec<Value> {
        let answer = self.ask(json!({ "do": "lint", "values": values }));
        answer.unwrap()["said"].as_array().unwrap().clone()
    }

    /// `helm install`, `upgrade`, `rollback` or `uninstall` of a chart, on the cluster of a kubeconfig.
    pub fn act(
        &self,
        what: &str,
        chart: &str,
        kubeconfig: &str,
        values: &Value,
    ) -> Result<(), String> {
        let question =
            json!({ "do": what, "chart": chart, "kubeconfig": kubeconfig, "values": values });
        self.ask(question).map(drop)
    }

    /// A release in another namespace.
    pub fn install_into(&self, namespace: &str, kubeconfig: &str) -> Result<(), String> {
        let question = json!({ "do": "install", "namespace": namespace, "kubeconfig": kubeconfig });
        self.ask(question).map(drop)
    }

    fn ask(&self, mut question: Value) -> Result<Value, String> {
        if question["chart"].is_null() {
            question["chart"] = json!(CHART);
        }
        let script = include_str!("helm.py");
        let mut command = Command::new(&self.0);
        let said = venv::run(command.args(["-c", script, &question.to_string()])).unwrap();
        let answer: Value = serde_json::from_str(&said).unwrap();
        match answer["refused"].as_str() {
            Some(why) => Err(why.to_owned()),
            None => Ok(answer),
        }
    }
}

/// The objects of a rendering, by kind and name.
pub fn objects(files: &BTreeMap<String, String>) -> BTreeMap<(String, String), Value> {
    let manifests = files.iter().filter(|(file, _)| file.ends_with(".yaml"));
    manifests
        .flat_map(|(file, text)| self::parsed(file, text))
        .collect()
}

/// The objects of a text of several documents, by kind and name.
pub fn parsed(file: &str, text: &str) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
    for object in documents {
        if object.is_null() {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        let twice = found.insert(key.clone(), object);
        assert!(twice.is_none(), "{file} has {key:?} twice");
    }
    found
}
