//! moto, an AWS that is not Herald's: in a virtual environment with pinned versions under `target/`, a server per test
//! binary, and a region per test, as regions share nothing.

pub mod cluster;

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::venv;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const SEED: &str = include_str!("seed.py");
/// The server ends when its standard input does, and so with the test process, however that ends.
const SERVER: &str = "
import os, sys, threading
from moto.server import main
def last():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=last, daemon=True).start()
main(['-H', '127.0.0.1', '-p', sys.argv[1]])
";
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

struct Server {
    _process: Child,
    python: PathBuf,
    endpoint: String,
}

/// A region of its own; `None` without Python or a package registry, which under `CI=true` is a failure.
pub fn region(cluster: &str) -> Option<Region> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(start).as_ref()?;
    let name = REGIONS[NEXT.fetch_add(1, Ordering::Relaxed)];
    let seeded =
        venv::run(Command::new(&server.python).args(["-c", SEED, &server.endpoint, name, cluster]));
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

fn start() -> Option<Server> {
    let python = venv::python(env!("CARGO_TARGET_TMPDIR"), "moto", "moto", REQUIREMENTS)?;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let process = Command::new(&python)
        .args(["-c", SERVER, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "moto does not answer"
        );
        thread::sleep(Duration::from_millis(50));
    }
    Some(Server {
        _process: process,
        python,
        endpoint: format!("http://127.0.0.1:{port}"),
    })
}
