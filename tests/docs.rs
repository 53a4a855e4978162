//! Every command that the documentation tells is run, or checked as far as it can be without what it needs: no line of a
//! `sh` block is left that no rule knows.
//!
//! | a line that begins with | is |
//! |---|---|
//! | `herald`, `cargo run --` | parsed by the program; what only reads also runs, on a cluster with the examples |
//! | `kubectl`, `helm` | read word by word: files, objects, annotations, values and roles that it names must be there |
//! | `cargo bench`, `cargo test` | a target that exists |
//! | the rest | one of the few that the test names, each with what it needs |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser as _;
use herald::api;
use serde_json::{Value, json};
use support::Cluster;

const HERALD: &str = env!("CARGO_BIN_EXE_herald");

/// One command line, with its place.
struct Line {
    place: String,
    text: String,
    /// What follows it up to the word that ends it.
    input: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path, end));
        } else if path.to_str().unwrap().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("docs"), ".md");
    pages.push(root().join("README.md"));
    pages
}

/// The command lines of all pages.
fn lines() -> Vec<Line> {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut inside = false;
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if line.starts_with("```") {
                inside = line == "```sh";
                continue;
            }
            let command = line.split("  #").next().unwrap().trim();
            if !inside || command.is_empty() {
                continue;
            }
            let (command, ends) = match command.split_once(" <<") {
                Some((command, word)) => (command, Some(word.trim_matches('\'').to_owned())),
                None => (command, None),
            };
            let mut input = String::new();
            if let Some(word) = ends {
                for (_, line) in lines.by_ref().take_while(|(_, line)| *line != word) {
                    input.push_str(line);
                    input.push('\n');
                }
            }
            let page = page.strip_prefix(root()).unwrap().display();
            found.push(Line {
                place: format!("{page}:{}", number + 1),
                text: command.to_owned(),
                input,
            });
        }
    }
    found
}

/// What the commands that read are to find.
async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    let namespace = |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    for name in ["default", "shop"] {
        let _there = cluster.api.create(namespace(name));
    }
    for example in files(&root().join("examples"), ".yaml") {
        let text = fs::read_to_string(&example).unwrap();
        for mut object in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            if object["kind"] == "Service" {
                object["metadata"]["namespace"] = "default".into();
            }
            // Two of them show one Service in two ways.
            let _there = cluster.api.create(object);
        }
    }
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
    }));
    for name in ["web", "echo"] {
        let _there = cluster.api.create(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "default" },
            "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
        }));
    }
    cluster
}

/// The commands of a line as a shell sees them, each in words, without variables in front.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let parts = words.split(|word| word == "|" || word == "&&");
    parts.map(|part| without_variables(part.to_vec())).collect()
}

fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => words.last_mut().unwrap().push(c),
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c.is_whitespace() => words.push(String::new()),
            None => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty() && word != "&");
    words
}

fn without_variables(mut words: Vec<String>) -> Vec<String> {
    let is_variable = |word: &String| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
        })
    };
    let variables = words.iter().take_while(|word| is_variable(word)).count();
    words.split_off(variables)
}

fn after<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == option)?;
    words.get(at + 1).map(String::as_str)
}

fn herald(cluster: &Cluster, words: &[String]) -> Result<(), String> {
    let typed = std::iter::once("herald".to_owned()).chain(words.iter().cloned());
    if let Err(error) = herald::cli::Cli::try_parse_from(typed) {
        return Err(error.to_string());
    }
    let has = |option: &str| words.iter().any(|word| word == option);
    let reads = match words[0].as_str() {
        "status" | "pools" | "explain" => !has("--watch") && !has("--aws-cluster-name"),
        "check" => !has("--wire"),
        "rebalance" => has("--dry-run"),
        "crds" | "metrics" | "completion" => true,
        // The guides' imports are walked by tests/import.rs, the controller, the lab and AWS by tests of their own.
        "import" | "controller" | "agent" | "lab" | "aws" => return Ok(()),
        other => return Err(format!("no rule for herald {other}")),
    };
    if !reads {
        return Ok(());
    }
    let (_directory, kubeconfig) = cluster.kubeconfig("test");
    let done = Command::new(HERALD)
        .args(words)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    // 1: something is amiss, as nothing runs here; 2 would be: it could not be found out.
    match done.status.code() {
        Some(0 | 1) if !done.stdout.is_empty() => Ok(()),
        code => Err(format!(
            "{code:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        )),
    }
}

/// All objects of deploy/, as `kind/name`.
fn deployed() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in files(&root().join("deploy"), ".yaml") {
        let text = fs::read_to_string(&file).unwrap();
        // Templates are no YAML.
        for object in serde_saphyr::from_multiple::<Value>(&text).unwrap_or_default() {
            if let (Some(kind), Some(name)) =
                (object["kind"].as_str(), object["metadata"]["name"].as_str())
            {
                all.insert(format!("{}/{name}", kind.to_lowercase()));
            }
        }
    }
    all
}

fn exists(path: &str) -> Result<(), String> {
    match root().join(path).exists() {
        true => Ok(()),
        false => Err(format!("{path} is not there")),
    }
}

fn kubectl(line: &Line, words: &[String]) -> Result<(), String> {
    let mut rest: Vec<_> = words.to_vec();
    if let Some(at) = rest
        .iter()
        .position(|word| word == "-n" || word == "--namespace")
    {
        rest.drain(at..at + 2);
    }
    let own = after(words, "-n").is_none_or(|namespace| namespace == api::DEFAULT_NAMESPACE);
    let known = |thing: &str| -> Result<(), String> {
        let there = !own || deployed().contains(thing);
        there
            .then_some(())
            .ok_or(format!("{thing} is not in deploy/"))
    };
    match rest[0].as_str() {
        "apply" | "delete" if after(words, "-k").is_some() => exists(after(words, "-k").unwrap()),
        "apply" if after(words, "-f") == Some("-") && line.input.is_empty() => Ok(()),
        "apply" if after(words, "-f") == Some("-") => {
            let read = serde_saphyr::from_multiple::<api::AddressPool>(&line.input);
            read.map(drop).map_err(|error| error.to_string())
        }
        "apply" | "create" if after(words, "-f").is_some() => exists(after(words, "-f").unwrap()),
        "create" if rest[1] == "clusterrolebinding" => {
            let role = rest
                .iter()
                .find_map(|word| word.strip_prefix("--clusterrole="));
            known(&format!("clusterrole/{}", role.unwrap_or_default()))
        }
        "annotate" => {
            let keys = rest.iter().filter_map(|word| {
                word.split_once('=')
                    .map(|(key, _)| key)
                    .or(word.strip_suffix('-'))
            });
            let mut keys = keys.filter(|key| key.starts_with(api::ANNOTATION_PREFIX));
            let mut all = api::SERVICE_ANNOTATIONS.to_vec();
            all.extend([api::ANNOTATION_REBALANCE, api::ANNOTATION_SURVEY]);
            match keys.find(|key| !all.contains(key)) {
                Some(key) => Err(format!("{key} is no annotation of Herald's")),
                None => Ok(()),
            }
        }
        "rollout" => known(&rest[2]),
        "port-forward" => known(&rest[1]),
        "label" => known(&format!("{}/{}", rest[1], rest[2])),
        "get" | "describe" | "delete" | "scale" | "set" => {
            let ours = ["addresspools", "addressallocations", "nodeannouncements"];
            let others = [
                "service",
                "services",
                "nodes",
                "node",
                "events",
                "namespace",
                "crd",
                "deployment",
                "daemonset",
                "pods",
                "ciliumloadbalancerippools",
                "ciliuml2announcementpolicies",
                "env",
            ];
            let kind = rest[1].split('/').next().unwrap();
            if !ours.contains(&kind) && !others.contains(&kind) {
                return Err(format!("no rule for the resource {kind}"));
            }
            if kind == "crd" {
                return rest[2..]
                    .iter()
                    .try_for_each(|name| known(&format!("customresourcedefinition/{name}")));
            }
            Ok(())
        }
        other => Err(format!("no rule for kubectl {other}")),
    }
}

/// Values that are set must be ones of the chart.
fn helm(words: &[String]) -> Result<(), String> {
    if words[0] == "rollback" || words[0] == "uninstall" {
        return Ok(());
    }
    let chart = words.get(2).map(String::as_str).unwrap_or_default();
    if chart == "cilium/cilium" {
        return Ok(());
    }
    exists(&format!("{chart}/Chart.yaml"))?;
    let values = fs::read_to_string(root().join(chart).join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let set = words.iter().zip(words.iter().skip(1));
    for (_, set) in set.filter(|(option, _)| *option == "--set") {
        let key = set.split('=').next().unwrap();
        if values
            .pointer(&format!("/{}", key.replace('.', "/")))
            .is_none()
        {
            return Err(format!("{key} is no value of the chart"));
        }
    }
    Ok(())
}

fn cargo(cluster: &Cluster, words: &[String]) -> Result<(), String> {
    let behind = words.iter().position(|word| word == "--");
    match words[0].as_str() {
        "run" => herald(cluster, &words[behind.unwrap() + 1..]),
        "bench" => exists(&format!("benches/{}.rs", after(words, "--bench").unwrap())),
        "test" => after(words, "--test").map_or(Ok(()), |name| exists(&format!("tests/{name}.rs"))),
        "build" => Ok(()),
        "install" => Ok(()),
        other => Err(format!("no rule for cargo {other}")),
    }
}

fn check(cluster: &Cluster, line: &Line) -> Result<(), String> {
    for words in commands(&line.text) {
        let rest = &words[1..];
        match words[0].as_str() {
            "herald" => herald(cluster, rest)?,
            "cargo" => cargo(cluster, rest)?,
            "kubectl" if rest[0] == "herald" => herald(cluster, &rest[1..])?,
            "kubectl" => kubectl(line, rest)?,
            "helm" => helm(rest)?,
            "docker" => exists(after(rest, "-f").unwrap())?,
            // tests/lab_aws.rs makes the same environment, and tests/moto starts the same server.
            "python3" | "target/moto/bin/pip" | "target/moto/bin/moto_server" => {}
            "source" | "curl" | "jq" | "cat" | "sort" | "head" | "ls" | "chmod" => {}
            program if program.starts_with("deploy/") => exists(program)?,
            other => return Err(format!("no rule for {other}")),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_documentation_is_one_that_works() {
    let cluster = cluster().await;
    let lines = lines();
    assert!(lines.len() > 50, "{}", lines.len());
    let wrong: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let why = check(&cluster, line).err()?;
            Some(format!("{}: {}: {why}", line.place, line.text))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A page that leads nowhere is as bad as a command that does not work.
#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            if !page.parent().unwrap().join(path).exists() {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_has_a_how_to() {
    let text = fs::read_to_string(root().join("docs/how-to.md")).unwrap();
    for example in files(&root().join("examples"), ".yaml") {
        let name = example.strip_prefix(root()).unwrap().display().to_string();
        assert!(
            text.contains(&format!("kubectl apply -f {name}")),
            "{name} has no how-to"
        );
    }
}
