//! The server of moto, in a virtual environment with pinned versions under `target/`.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::venv;

const REQUIREMENTS: &str = include_str!("requirements.txt");
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

/// A server that runs.
pub struct Server {
    _process: Child,
    /// The interpreter that has moto's libraries.
    #[allow(dead_code, reason = "for those who seed by Python")]
    pub python: PathBuf,
    pub endpoint: String,
}

/// Starts one on a port of its own. `None` without Python or a package registry, which under `CI=true` is a failure.
pub fn start() -> Option<Server> {
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
