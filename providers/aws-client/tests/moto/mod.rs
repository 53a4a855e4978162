//! A server of moto per test binary, and a region per test, as regions share nothing.

pub mod cluster;

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use crate::{
    server::{Moto, REQUIREMENTS},
    venv,
};

const SEED: &str = include_str!("seed.py");
const REGIONS: [&str; 8] = [
    "eu-west-1",
    "eu-central-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-2",
    "ap-northeast-1",
    "ap-south-1",
];

/// A region with a VPC.
pub struct Region {
    pub endpoint: String,
    pub name: String,
    pub vpc: String,
    pub group: String,
    pub private: Vec<String>,
    /// Instances and their addresses.
    pub nodes: Vec<(String, String)>,
}

/// A region of its own; `None` without Python or a package registry, which under `CI=true` is a failure.
pub fn region(cluster: &str) -> Option<Region> {
    static SERVER: OnceLock<Option<(PathBuf, Moto)>> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let (python, server) = SERVER.get_or_init(start).as_ref()?;
    let name = REGIONS[NEXT.fetch_add(1, Ordering::Relaxed)];
    let seeded =
        venv::run(Command::new(python).args(["-c", SEED, &server.endpoint, name, cluster]));
    let seeded: Value = serde_json::from_str(&seeded.expect("the VPC is made")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().iter().map(text).collect();
    let nodes = seeded["nodes"].as_array().unwrap().iter();
    Some(Region {
        endpoint: server.endpoint.clone(),
        name: name.to_owned(),
        vpc: text(&seeded["vpc"]),
        group: text(&seeded["group"]),
        private: list(&seeded["private"]),
        nodes: nodes
            .map(|node| (text(&node["id"]), text(&node["address"])))
            .collect(),
    })
}

/// In a virtual environment with pinned versions under `target/`.
fn start() -> Option<(PathBuf, Moto)> {
    let python = venv::python(env!("CARGO_TARGET_TMPDIR"), "moto", "moto", REQUIREMENTS)?;
    let server = Moto::start(&python);
    Some((python, server))
}
