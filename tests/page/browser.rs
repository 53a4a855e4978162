//! Headless Chromium, spoken to through a pipe: `--dump-dom` asks a script of its own, and says nothing where scripts
//! are switched off.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    time,
};

pub struct Browser(PathBuf);

/// One page in a browser of its own.
pub struct Tab {
    /// What its console said, and the errors of its scripts.
    pub console: String,
    loaded: bool,
    session: Option<String>,
    calls: u64,
    asks: pipe::Sender,
    answers: BufReader<pipe::Receiver>,
    _child: Child,
    _directory: tempfile::TempDir,
}

/// How long the browser may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Browser {
    pub fn find() -> Option<Self> {
        let path = env::var_os("PATH")?;
        env::split_paths(&path)
            .flat_map(|dir| [dir.join("chromium"), dir.join("chromium-browser")])
            .find(|path| path.is_file())
            .map(Self)
    }

    /// Loads a page.
    pub async fn open(&self, url: &str, scripts: bool) -> Tab {
        let directory = tempfile::tempdir().unwrap();
        let pipes = ["asks", "answers"].map(|name| directory.path().join(name));
        for pipe in &pipes {
            mkfifo(pipe, Mode::S_IRWXU).unwrap();
        }
        // Without blocking, so that neither side waits for the other.
        let both = || {
            let mut options = pipe::OpenOptions::new();
            options.read_write(true);
            options
        };
        let asks = both().open_sender(&pipes[0]).unwrap();
        let answers = both().open_receiver(&pipes[1]).unwrap();
        let child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<>\"$ASKS\" 4<>\"$ANSWERS\"", "sh"])
            .arg(&self.0)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args([
                "--no-first-run",
                "--disable-sync",
                "--no-proxy-server",
                "--hide-scrollbars",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", directory.path().display()))
            .env("ASKS", &pipes[0])
            .env("ANSWERS", &pipes[1])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut tab = Tab {
            console: String::new(),
            loaded: false,
            session: None,
            calls: 0,
            asks,
            answers: BufReader::new(answers),
            _child: child,
            _directory: directory,
        };
        let target = tab
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = tab.call("Target.attachToTarget", attach).await;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Log", "Runtime", "DOM"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        let switch = json!({ "value": !scripts });
        tab.call("Emulation.setScriptExecutionDisabled", switch)
            .await;
        tab.loaded = false;
        tab.call("Page.navigate", json!({ "url": url })).await;
        while !tab.loaded {
            tab.hear().await;
        }
        tab
    }
}

impl Tab {
    /// The document as it is now.
    pub async fn document(&mut self) -> String {
        let root = self.call("DOM.getDocument", json!({ "depth": 0 })).await;
        let node = json!({ "nodeId": root["root"]["nodeId"] });
        let html = self.call("DOM.getOuterHTML", node).await;
        html["outerHTML"].as_str().unwrap().to_owned()
    }

    /// A picture of the page as it is on a screen of this size, in this colour scheme or in `print`.
    pub async fn screenshot(&mut self, path: &Path, width: u32, height: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let media = match scheme {
            "print" => json!({ "media": "print" }),
            _ => json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        };
        self.call("Emulation.setEmulatedMedia", media).await;
        let picture = self
            .call("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut ask = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            ask["sessionId"] = session.as_str().into();
        }
        let text = format!("{ask}\0");
        self.asks.write_all(text.as_bytes()).await.unwrap();
        loop {
            let said = self.hear().await;
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
        }
    }

    async fn hear(&mut self) -> Value {
        let mut text = Vec::new();
        let heard = self.answers.read_until(0, &mut text);
        time::timeout(PATIENCE, heard)
            .await
            .expect("the browser is silent")
            .unwrap();
        text.pop();
        let said: Value = serde_json::from_slice(&text).unwrap();
        match said["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Log.entryAdded" | "Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => {
                self.console += &format!("{said}\n");
            }
            _ => {}
        }
        said
    }
}
