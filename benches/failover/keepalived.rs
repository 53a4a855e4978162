//! keepalived on the same segment, for comparison.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::Context as _;

use crate::{
    case::{Case, Guard},
    process::Process,
    segment::{Segment, VIPS},
};

/// How often the master speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    adverts: &'static str,
    /// How long a fault lasts: for longer than a backup waits.
    outage: Duration,
}

pub const SETTINGS: [Setting; 2] = [
    Setting {
        name: "keepalived, 1 s adverts (default)",
        adverts: "1",
        outage: Duration::from_millis(4_500),
    },
    Setting {
        name: "keepalived, 50 ms adverts",
        adverts: "0.05",
        outage: Duration::from_millis(1_500),
    },
];

/// keepalived on every node; dropping it ends it.
pub struct Keepalived {
    nodes: Vec<Option<Process>>,
    setting: Setting,
    program: PathBuf,
    dir: tempfile::TempDir,
}

/// Where the program is, if it is installed.
pub fn find() -> Option<PathBuf> {
    let places = [
        "/usr/sbin/keepalived",
        "/usr/local/sbin/keepalived",
        "/sbin/keepalived",
    ];
    places
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// A killed keepalived leaves its addresses on the NIC, so that two nodes have them: that is no failover.
pub fn plays(case: Case) -> bool {
    matches!(
        case,
        Case::Nothing | Case::CutOff | Case::CarrierLost | Case::NicDown | Case::GracefulStop
    )
}

impl Keepalived {
    pub async fn start(segment: &Segment, setting: Setting) -> anyhow::Result<Self> {
        let program = find().context("keepalived is not installed")?;
        let dir = tempfile::tempdir()?;
        for node in 0..segment.nodes.len() {
            std::fs::write(
                dir.path().join(node.to_string()),
                configuration(node, setting),
            )?;
        }
        let mut started = Self {
            nodes: segment.nodes.iter().map(|_| None).collect(),
            setting,
            program,
            dir,
        };
        for node in 0..segment.nodes.len() {
            Guard::start(&mut started, segment, node).await?;
        }
        started.settle().await?;
        Ok(started)
    }
}

impl Guard for Keepalived {
    fn outage(&self) -> Duration {
        self.setting.outage
    }

    async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].take().context("it does not run")?.kill()
    }

    async fn stop(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node]
            .take()
            .context("it does not run")?
            .end()
            .await
    }

    async fn start(&mut self, segment: &Segment, node: usize) -> anyhow::Result<()> {
        let file = |name: &str| self.dir.path().join(format!("{node}{name}"));
        let mut command = Command::new(&self.program);
        command
            .args(["--dont-fork", "--vrrp", "--use-file"])
            .arg(file(""));
        command
            .arg("--pid")
            .arg(file(".pid"))
            .arg("--vrrp_pid")
            .arg(file(".vrrp"));
        self.nodes[node] = Some(Process::start(&segment.nodes[node], command, None)?);
        Ok(())
    }

    fn pause(&mut self, _: usize, _: bool) -> anyhow::Result<()> {
        Ok(())
    }

    fn block(&mut self, _: &Segment, _: usize, _: bool) {}

    fn api_away(&mut self, _: &Segment, _: bool) {}

    async fn settle(&mut self) -> anyhow::Result<()> {
        tokio::time::sleep(self.setting.outage).await;
        Ok(())
    }
}

/// The same priority everywhere and no preemption: who has the addresses keeps them.
fn configuration(node: usize, setting: Setting) -> String {
    let instance = |name: &str, router: u8, vip: &str| {
        format!(
            "vrrp_instance {name} {{\n state BACKUP\n nopreempt\n interface eth0\n virtual_router_id {router}\n \
             priority {}\n advert_int {}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n",
            200 - node,
            setting.adverts
        )
    };
    format!(
        "global_defs {{\n vrrp_version 3\n router_id n{node}\n}}\n{}{}",
        instance("four", 4, &format!("{}/32", VIPS[0])),
        instance("six", 6, &format!("{}/128", VIPS[1])),
    )
}
