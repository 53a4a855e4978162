//! Whether the nodes' kernels and kube-proxies let announced addresses work.

use ipnet::IpNet;

use super::{Facts, Findings, Word, install::some};
use crate::api::{HostFacts, InterfaceFacts};

/// `arp_ignore`: answer for no local address at all.
const IGNORE_ALL: u8 = 8;
/// `arp_announce`: never name an address of another interface as the sender's.
const ANNOUNCE_BEST: u8 = 2;
/// `rp_filter`: only what would be answered by the same interface.
const STRICT: u8 = 1;

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    ipvs(facts, findings);
    for report in facts.reports() {
        let object = format!("Node/{}", report.node);
        if report
            .status
            .agent
            .as_ref()
            .is_some_and(|agent| agent.kube_proxy_unhealthy)
        {
            findings.fail(
                Word::KubeProxyUnhealthy,
                &object,
                "its kube-proxy failed its health check, so Services do not follow their endpoints there",
                "kubectl -n kube-system logs --selector k8s-app=kube-proxy --prefix",
            );
        }
        if let Some(host) = &report.status.host {
            interfaces(facts, &object, host, findings);
        }
    }
    let told = facts.reports().iter().filter(|report| {
        let host = report.status.host.as_ref();
        host.is_some_and(|host| !host.interfaces.is_empty())
    });
    let told = told.count();
    if findings.len() > before {
        return;
    }
    if told > 0 {
        findings.ok(
            Word::Kernel,
            "nodes",
            format!("kube-proxy, arp_ignore and rp_filter of {told} are as they should be"),
        );
    } else {
        findings.skip(
            Word::Kernel,
            "nodes",
            "no agent reports how its node's kernel is set",
        );
    }
}

fn ipvs(facts: &Facts, findings: &mut Findings) {
    let repair = "kubectl -n kube-system get configmap kube-proxy -o yaml | sed 's/strictARP: false/strictARP: true/' | \
                  kubectl apply -f - && kubectl -n kube-system rollout restart daemonset kube-proxy";
    let loose: Vec<String> = facts
        .reports()
        .iter()
        .filter_map(|report| Some((&report.node, report.status.host.as_ref()?)))
        .filter(|(_, host)| host.kube_proxy_mode.as_deref() == Some("ipvs"))
        .filter_map(|(node, host)| {
            let loose: Vec<_> = host.interfaces.iter().filter_map(loose).collect();
            let first = loose.first()?;
            Some(format!("{node} ({first})"))
        })
        .collect();
    let configured =
        matches!(&facts.kube_proxy, Ok(Some(it)) if it.mode == "ipvs" && !it.strict_arp);
    let why = "every node answers ARP for every Service's address, whoever announces it";
    if !loose.is_empty() {
        let message =
            format!("kube-proxy uses IPVS and the kernel is not told to hold back: {why}");
        findings.fail(
            Word::IPVSWithoutStrictARP,
            &format!("Node/{}", some(&loose)),
            message,
            repair,
        );
    } else if configured {
        let message = format!("mode is ipvs and strictARP is false: {why}");
        findings.fail(
            Word::IPVSWithoutStrictARP,
            "ConfigMap/kube-proxy in kube-system",
            message,
            repair,
        );
    }
}

/// What lets the kernel answer for, or speak in the name of, an address that is bound to another device.
fn loose(interface: &InterfaceFacts) -> Option<String> {
    let (ignore, announce) = (interface.arp_ignore?, interface.arp_announce?);
    (ignore == 0 || announce < ANNOUNCE_BEST).then(|| {
        format!(
            "{}: arp_ignore={ignore} arp_announce={announce}",
            interface.name
        )
    })
}

fn interfaces(facts: &Facts, object: &str, host: &HostFacts, findings: &mut Findings) {
    for interface in host.interfaces.iter().filter(|it| announces_v4(facts, it)) {
        let name = &interface.name;
        if interface.arp_ignore == Some(IGNORE_ALL) {
            findings.warn(
                Word::ArpIgnored,
                object,
                format!("arp_ignore=8 on {name}: the kernel answers for none of the node's own addresses there"),
                format!("sysctl -w net.ipv4.conf.{name}.arp_ignore=1 (and net.ipv4.conf.all.arp_ignore, if it is 8)"),
            );
        }
        let elsewhere = host
            .gateways
            .iter()
            .filter(|gateway| !gateway.address.contains(':'));
        let elsewhere: Vec<_> = elsewhere
            .map(|gateway| gateway.interface.as_str())
            .collect();
        if interface.rp_filter == Some(STRICT)
            && !elsewhere.is_empty()
            && !elsewhere.contains(&name.as_str())
        {
            findings.warn(
                Word::ReversePathStrict,
                object,
                format!(
                    "rp_filter=1 on {name}, and the default route leaves by {}: what clients beyond {name}'s subnets \
                     send to an address announced there is dropped",
                    elsewhere.join(", ")
                ),
                format!("sysctl -w net.ipv4.conf.{name}.rp_filter=2"),
            );
        }
    }
}

/// Whether IPv4 addresses of some pool are announced there, as far as its subnets and its name tell.
fn announces_v4(facts: &Facts, interface: &InterfaceFacts) -> bool {
    announces(facts, interface, |net| matches!(net, IpNet::V4(_)))
}

/// Whether addresses of some pool are announced on one of the interface's subnets that are `meant`, or by its name.
pub(super) fn announces(
    facts: &Facts,
    interface: &InterfaceFacts,
    meant: impl Fn(&IpNet) -> bool,
) -> bool {
    let subnets = interface.subnets.iter().filter_map(|net| net.parse().ok());
    let subnets: Vec<IpNet> = subnets.filter(meant).collect();
    let mut pools = facts.pools().iter();
    pools.any(|pool| pool.reaches(&interface.name, &subnets))
}
