//! What this node's kube-proxy tells: its mode, and whether it has made the rules for a new address.
//!
//! A connection that arrives before its rules is lost: conntrack remembers it without them. So the very first
//! announcement of an address waits, and clients wait in ARP meanwhile. What kube-proxy tells is how many syncs it
//! has finished, how long they took, and when the last one ended. A sync that *began* after the address was seen
//! has its rules:
//!
//! ```text
//!     sync n            seen          sync n+1                  two syncs ended since: the second began after
//!   ──[▓▓▓▓▓▓▓▓]──────────┼───[▓▓▓▓]────▶                       one sync ended since: it must have begun after
//! ```

use std::time::Duration;

use bytes::Bytes;
use herald_spi::Time;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use crate::ipam::Family;

/// Where kube-proxy tells, on every node.
pub(super) const ADDRESS: &str = "127.0.0.1:10249";
/// Where it tells its metrics.
pub(super) const METRICS: &str = "/metrics";
/// Where it tells its mode.
pub(super) const MODE: &str = "/proxyMode";
/// As much as the report may hold.
const LONGEST_MODE: usize = 32;
/// The wait when kube-proxy tells nothing.
const BLIND_WAIT: Duration = Duration::from_secs(1);
/// A kube-proxy that had heard of the address before its sighting here begins no new sync; it has none pending
/// either, and its least pause between syncs is one second.
const QUIET_WAIT: Duration = Duration::from_millis(1500);
/// The longest wait, against a kube-proxy that is stuck.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const POLL_TIMEOUT: Duration = Duration::from_millis(250);
const MOST_BYTES: usize = 4 << 20;

/// What kube-proxy tells of its syncs for one family.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Syncs {
    /// How many have ended.
    count: f64,
    /// How long they took, all together, in seconds.
    seconds: f64,
    /// When the last one ended, in seconds of Unix time.
    last: f64,
    /// When one was last asked for, in seconds of Unix time.
    queued: f64,
}

/// The wait for one new address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    seen: Time,
    seen_unix: f64,
    before: Option<Syncs>,
}

impl Gate {
    /// A gate for an address that was seen just now.
    pub(super) fn new(seen: Time, seen_unix: f64) -> Self {
        Self {
            seen,
            seen_unix,
            before: None,
        }
    }

    /// Takes in what kube-proxy tells now, if it does. Whether the wait is over.
    pub(super) fn open(&mut self, now: Time, syncs: Option<Syncs>) -> bool {
        let waited = now.since(self.seen);
        let Some(syncs) = syncs else {
            return waited >= BLIND_WAIT;
        };
        let before = *self.before.get_or_insert(syncs);
        let ended = syncs.count - before.count;
        // With one sync since the first look its length is known, and so is when it began.
        let began_after = || syncs.last - (syncs.seconds - before.seconds) >= self.seen_unix;
        ended >= 2.0
            || (ended >= 1.0 && began_after())
            || (waited >= QUIET_WAIT && syncs.queued <= syncs.last)
            || waited >= LONGEST_WAIT
    }
}

/// Reads the numbers for one family out of kube-proxy's metrics; those without a family label count for both.
pub(super) fn parse(text: &str, family: Family) -> Option<Syncs> {
    const PREFIX: &str = "kubeproxy_sync_proxy_rules_";
    let label = match family {
        Family::V4 => "ip_family=\"IPv4\"",
        Family::V6 => "ip_family=\"IPv6\"",
    };
    let mut syncs = Syncs::default();
    let mut found = false;
    for line in text.lines().filter_map(|line| line.strip_prefix(PREFIX)) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        if series.contains("ip_family=") && !series.contains(label) {
            continue;
        }
        let name = series.split('{').next().unwrap_or_default();
        let Ok(value) = value.parse::<f64>() else {
            continue;
        };
        match name {
            "duration_seconds_count" => syncs.count = value,
            "duration_seconds_sum" => syncs.seconds = value,
            "last_timestamp_seconds" => {
                syncs.last = value;
                found = true;
            }
            "last_queued_timestamp_seconds" => syncs.queued = value,
            _ => {}
        }
    }
    found.then_some(syncs)
}

/// Reads kube-proxy's mode: one word such as `nftables`. What is no such word was told by something else.
pub(super) fn mode(text: &str) -> Option<&str> {
    let word = text.trim();
    let is_word = !word.is_empty()
        && word.len() <= LONGEST_MODE
        && word.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word.then_some(word)
}

/// Asks kube-proxy; `None` when it does not tell.
pub(super) async fn ask(address: &str, path: &str) -> Option<String> {
    let bytes = time::timeout(POLL_TIMEOUT, fetch(address, path))
        .await
        .ok()?
        .ok()?;
    String::from_utf8(bytes.into()).ok()
}

async fn fetch(address: &str, path: &str) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header("host", address)
        .body(Empty::<Bytes>::new())?;
    let read = async {
        let response = sender.send_request(request).await?;
        anyhow::ensure!(response.status().is_success(), "{}", response.status());
        let body = Limited::new(response.into_body(), MOST_BYTES)
            .collect()
            .await;
        Ok::<_, anyhow::Error>(body.map_err(|e| anyhow::anyhow!(e))?.to_bytes())
    };
    let mut read = std::pin::pin!(read);
    tokio::select! {
        bytes = &mut read => bytes,
        ended = connection => {
            // All has come over it that ever will, which may be the whole answer.
            ended?;
            read.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    fn syncs(count: f64, seconds: f64, last: f64) -> Option<Syncs> {
        Some(Syncs {
            count,
            seconds,
            last,
            queued: last - seconds,
        })
    }

    #[test]
    fn numbers_are_read_with_and_without_a_family_label() {
        let text = "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram\n\
            kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"1\"} 9\n\
            kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv4\"} 0.5\n\
            kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 4\n\
            kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 7\n\
            kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.7e+09\n\
            kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 1.6e+09\n";
        let v4 = parse(text, Family::V4).unwrap();
        assert_eq!(
            (v4.count, v4.seconds, v4.last, v4.queued),
            (4.0, 0.5, 1.7e9, 1.6e9)
        );
        assert_eq!(parse(text, Family::V6), None);
        assert_eq!(parse("up 1\n", Family::V4), None);
    }

    #[test]
    fn a_mode_is_one_word() {
        assert_eq!(mode("nftables"), Some("nftables"));
        assert_eq!(mode("ipvs\n"), Some("ipvs"));
        let long = "a".repeat(33);
        for other in ["", "\n", "404 page not found", "<html>", &long] {
            assert_eq!(mode(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_sync_that_was_under_way_does_not_open_the_gate() {
        let mut gate = Gate::new(at(0), 1000.0);
        assert!(!gate.open(at(1), syncs(3.0, 0.3, 999.0)));
        // It took 30 ms and ended 10 ms after the sighting: it began before.
        assert!(!gate.open(at(20), syncs(4.0, 0.33, 1000.01)));
        assert!(gate.open(at(40), syncs(5.0, 0.35, 1000.04)));
    }

    #[test]
    fn a_sync_that_began_after_the_sighting_opens_the_gate() {
        let mut gate = Gate::new(at(0), 1000.0);
        assert!(!gate.open(at(1), syncs(3.0, 0.3, 999.0)));
        assert!(gate.open(at(30), syncs(4.0, 0.32, 1000.025)));
    }

    #[test]
    fn silence_and_quiet_do_not_close_the_gate_for_ever() {
        let mut blind = Gate::new(at(0), 1000.0);
        assert!(!blind.open(at(999), None));
        assert!(blind.open(at(1000), None));
        let mut quiet = Gate::new(at(0), 1000.0);
        assert!(!quiet.open(at(1), syncs(3.0, 0.3, 999.9)));
        assert!(!quiet.open(at(1400), syncs(3.0, 0.3, 999.9)));
        assert!(quiet.open(at(1500), syncs(3.0, 0.3, 999.9)));
        let mut stuck = Gate::new(at(0), 1000.0);
        let pending = Some(Syncs {
            queued: 1000.5,
            ..syncs(3.0, 0.3, 999.9).unwrap()
        });
        assert!(!stuck.open(at(1), pending));
        assert!(!stuck.open(at(4999), pending));
        assert!(stuck.open(at(5000), pending));
    }
}
