//! What passes a link, as tcpdump tells it.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use herald_layer2::tap::Tap;

use crate::lab::Host;

/// A link that is being recorded.
pub struct Recording {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<Vec<(Duration, Vec<u8>)>>,
}

/// One frame.
#[derive(Debug)]
pub struct Told {
    /// Since the recording began.
    pub at: Duration,
    /// All that tcpdump says about it, on one line; at its end the octets behind the Ethernet header.
    pub text: String,
}

impl Recording {
    /// Everything that passes the host's NIC from now on.
    pub fn start(host: &Host) -> Self {
        let index = host.index;
        let tap = host.station.run(move || Tap::open(index).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let frames = thread::spawn(move || {
            let (began, mut frames) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let next = tap.next(Duration::from_millis(50)).unwrap();
                frames.extend(next.map(|frame| (began.elapsed(), frame)));
            }
            frames
        });
        Self { stop, frames }
    }

    /// Ends, and tells of the frames that match tcpdump's `expression`.
    pub fn told(self, expression: &str) -> Vec<Told> {
        self.stop.store(true, Ordering::Relaxed);
        let text = tcpdump(&self.frames.join().unwrap(), expression);
        let lines = text.replace("\n\t", " ");
        lines.lines().map(Told::read).collect()
    }
}

impl Told {
    fn read(line: &str) -> Self {
        let (at, text) = line.split_once(' ').unwrap();
        Self {
            at: Duration::from_secs_f64(at.parse().unwrap()),
            text: text.to_owned(),
        }
    }

    /// Whether all of these words are said.
    pub fn says(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.text.contains(word))
    }
}

/// What tcpdump says about the frames that match. It reads a recording, because it cannot give up privileges in a
/// user namespace; as nobody, in a namespace below, it need not.
fn tcpdump(frames: &[(Duration, Vec<u8>)], expression: &str) -> String {
    // A pcap file: magic, version 2.4, zone, accuracy, longest frame, Ethernet; then each with time and lengths.
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1u32] {
        file.extend(word.to_le_bytes());
    }
    for (at, frame) in frames {
        let seconds = u32::try_from(at.as_secs()).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        for word in [seconds, at.subsec_micros(), length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    let mut child = Command::new("unshare")
        .args([
            "--user", "--", "tcpdump", "-tt", "-n", "-e", "-vv", "-x", "-r", "-",
        ])
        .arg(expression)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    let mut stdin = child.stdin.take().unwrap();
    // It reads while it writes.
    let feeding = thread::spawn(move || stdin.write_all(&file));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
