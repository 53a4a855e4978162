//! What goes out with a release: the bill of materials, the kubectl plugin, and definitions that older and newer programs
//! both understand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let done = command.current_dir(root()).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {errors}");
    done
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// Every crate that is compiled into the program, as `name@version`.
fn compiled() -> BTreeSet<String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let tree = text(run(Command::new(cargo).args([
        "tree",
        "--locked",
        "--no-default-features",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--package=herald",
    ])));
    let names = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some(format!("{name}@{version}"))
    });
    names.filter(|it| !it.starts_with("herald@")).collect()
}

#[test]
fn the_bill_of_materials_names_what_is_compiled_and_nothing_else() {
    let is_there = Command::new("cargo")
        .args(["cyclonedx", "--version"])
        .output();
    if !is_there.is_ok_and(|done| done.status.success()) {
        let why = "needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx@0.5.9";
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{why}"
        );
        println!("skipped: {why}");
        return;
    }
    let bill: Value = serde_json::from_str(&text(run(&mut Command::new("deploy/sbom")))).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.5");
    let program = &bill["metadata"]["component"];
    assert_eq!(program["name"], "herald");
    assert_eq!(program["version"], env!("CARGO_PKG_VERSION"));
    let mut named = BTreeSet::new();
    for component in bill["components"].as_array().unwrap() {
        let of = |key: &str| component[key].as_str().unwrap_or_default();
        let id = format!("{}@{}", of("name"), of("version"));
        assert!(
            of("purl").starts_with(&format!("pkg:cargo/{id}")),
            "{component}"
        );
        let licences = component["licenses"].as_array();
        assert!(
            licences.is_some_and(|list| !list.is_empty()),
            "{id} has no licence"
        );
        named.insert(id);
    }
    let compiled = compiled();
    assert!(compiled.len() > 100, "{compiled:?}");
    let missing: Vec<_> = compiled.difference(&named).collect();
    assert!(missing.is_empty(), "not in the bill: {missing:?}");
    for other in ["herald-apiserver", "proptest", "foca"] {
        let has = named.iter().any(|id| id.starts_with(&format!("{other}@")));
        assert!(!has, "{other} is in the bill, and not in the program");
    }
    let left = text(run(Command::new("find").args([
        ".",
        "-name",
        "herald-sbom-*",
        "-not",
        "-path",
        "./target/*",
    ])));
    assert_eq!(left, "", "the tool's files stay");
}

#[test]
fn the_manifest_for_krew_names_what_is_in_the_archives() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let program = env!("CARGO_BIN_EXE_kubectl-herald");
    run(Command::new("deploy/krew/release")
        .arg(dir)
        .args([format!("amd64={program}"), format!("arm64={program}")]));
    let manifest: Value =
        serde_saphyr::from_str(&fs::read_to_string(dir.join("herald.yaml")).unwrap()).unwrap();
    assert_eq!(
        manifest["apiVersion"],
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(manifest["kind"], "Plugin");
    assert_eq!(manifest["metadata"]["name"], "herald");
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50 + 10);
    assert_eq!(spec["homepage"], env!("CARGO_PKG_REPOSITORY"));
    let platforms = spec["platforms"].as_array().unwrap();
    let of = |platform: &Value| platform["selector"]["matchLabels"]["arch"].clone();
    assert_eq!(
        platforms.iter().map(of).collect::<Vec<_>>(),
        ["amd64", "arm64"]
    );
    for platform in platforms {
        let uri = platform["uri"].as_str().unwrap();
        let archive = dir.join(uri.rsplit('/').next().unwrap());
        let sum = text(run(Command::new("sha256sum").arg(&archive)));
        assert_eq!(sum.split(' ').next(), platform["sha256"].as_str());
        let inside = tempfile::tempdir().unwrap();
        run(Command::new("tar")
            .arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(inside.path()));
        let program = inside.path().join(platform["bin"].as_str().unwrap());
        let version = text(run(Command::new(program).arg("--version")));
        assert!(
            version.trim().ends_with(env!("CARGO_PKG_VERSION")),
            "{version}"
        );
        assert!(inside.path().join("LICENSE").is_file());
    }
    let refused = Command::new(root().join("deploy/krew/release"))
        .arg(dir)
        .arg(format!("sparc={program}"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
}

/// What a program that reads and writes by `old` would trip over in `new`.
fn breaks(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let words = |schema: &Value, key: &str| -> BTreeSet<String> {
        let list = schema[key].as_array().into_iter().flatten();
        list.map(ToString::to_string).collect()
    };
    if old["type"] != new["type"] {
        found.push(format!("{place}: {} became {}", old["type"], new["type"]));
    }
    for field in words(new, "required").difference(&words(old, "required")) {
        found.push(format!("{place}: {field} is required now"));
    }
    for word in words(old, "enum").difference(&words(new, "enum")) {
        if !words(new, "enum").is_empty() {
            found.push(format!("{place}: the word {word} is gone"));
        }
    }
    for key in ["maximum", "maxItems", "maxLength"] {
        if let (Some(before), now) = (old[key].as_f64(), new[key].as_f64())
            && now.is_some_and(|now| now < before)
        {
            found.push(format!("{place}: {key} shrank"));
        }
    }
    for (name, field) in old["properties"].as_object().into_iter().flatten() {
        match new["properties"].get(name) {
            Some(now) => breaks(&format!("{place}.{name}"), field, now, found),
            None => found.push(format!("{place}.{name} is gone")),
        }
    }
    if old["items"].is_object() {
        breaks(&format!("{place}[]"), &old["items"], &new["items"], found);
    }
}

fn definitions(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The promise of docs/install.md.
#[test]
fn definitions_only_grow() {
    let now: Vec<Value> = herald::api::crds()
        .iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .collect();
    let mut compared = 0;
    for file in fs::read_dir(root().join("tests/released")).unwrap() {
        let file = file.unwrap().path();
        for old in definitions(&fs::read_to_string(&file).unwrap()) {
            let name = &old["metadata"]["name"];
            let new = now.iter().find(|it| &it["metadata"]["name"] == name);
            let new = new.unwrap_or_else(|| panic!("{name} is gone"));
            for version in old["spec"]["versions"].as_array().unwrap() {
                let named = |it: &&Value| it["name"] == version["name"];
                let same = new["spec"]["versions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(named);
                let same = same.unwrap_or_else(|| panic!("{name} {} is gone", version["name"]));
                assert_eq!(same["served"], true);
                let schema = |it: &Value| it["schema"]["openAPIV3Schema"].clone();
                let mut found = Vec::new();
                breaks(
                    name.as_str().unwrap(),
                    &schema(version),
                    &schema(same),
                    &mut found,
                );
                assert!(found.is_empty(), "since {}: {found:#?}", file.display());
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3);
    for crd in now {
        let versions = crd["spec"]["versions"].as_array().unwrap();
        let stored = versions.iter().filter(|it| it["storage"] == true);
        assert_eq!(stored.count(), 1);
        assert!(
            !crd.to_string()
                .contains("x-kubernetes-preserve-unknown-fields")
        );
        assert!(
            crd["spec"]["conversion"]["webhook"].is_null(),
            "no webhook may stand in the way of a start"
        );
    }
}

#[test]
fn the_comparison_sees_what_breaks() {
    let old = definitions(
        "{type: object, required: [a], properties: {a: {type: string, enum: [p, q], maxLength: 9}, b: {type: array, items: {type: integer}}}}",
    );
    for (new, expected) in [
        (
            "{type: object, required: [a], properties: {a: {type: string, enum: [p, q, r], maxLength: 9}, b: {type: array, items: {type: integer}}, c: {type: string}}}",
            None,
        ),
        (
            "{type: object, required: [a, b], properties: {a: {type: string, enum: [p, q], maxLength: 9}, b: {type: array, items: {type: integer}}}}",
            Some("is required now"),
        ),
        (
            "{type: object, required: [a], properties: {a: {type: string, enum: [p], maxLength: 9}, b: {type: array, items: {type: integer}}}}",
            Some("\"q\" is gone"),
        ),
        (
            "{type: object, required: [a], properties: {a: {type: string, enum: [p, q], maxLength: 8}, b: {type: array, items: {type: integer}}}}",
            Some("maxLength shrank"),
        ),
        (
            "{type: object, required: [a], properties: {a: {type: string, enum: [p, q], maxLength: 9}, b: {type: array, items: {type: string}}}}",
            Some("became"),
        ),
        (
            "{type: object, required: [a], properties: {a: {type: string, enum: [p, q], maxLength: 9}}}",
            Some(".b is gone"),
        ),
    ] {
        let mut found = Vec::new();
        breaks("it", &old[0], &definitions(new)[0], &mut found);
        match expected {
            None => assert_eq!(found, [""; 0]),
            Some(words) => assert!(found.iter().any(|it| it.contains(words)), "{found:?}"),
        }
    }
}
