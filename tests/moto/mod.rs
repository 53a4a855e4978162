//! moto, an AWS that is not Herald's: as a server.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What the virtual environment has.
pub const REQUIREMENTS: &str = include_str!("requirements.txt");
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

/// A running server.
pub struct Moto {
    _process: Child,
    pub endpoint: String,
}

impl Moto {
    /// By an interpreter that has [`REQUIREMENTS`].
    pub fn start(python: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(python)
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
        Self {
            _process: process,
            endpoint: format!("http://127.0.0.1:{port}"),
        }
    }
}
