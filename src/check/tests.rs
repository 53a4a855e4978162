//! Every finding fires on what it is about, and stays silent without it.

mod harmless;
mod install;
mod network;
mod others;
mod spoil;

use std::collections::BTreeSet;

use self::spoil::{Case, first_service, forbidden};
use super::{facts::Wire, samples::whole, *};

/// Every finding, with what brings it about.
fn cases() -> impl Iterator<Item = Case> {
    [install::cases(), network::cases(), others::cases()]
        .into_iter()
        .flatten()
}

/// The words of parts in which nothing was amiss.
const WELL: [Word; 12] = [
    Word::Definitions,
    Word::Versions,
    Word::Controller,
    Word::Agents,
    Word::Keys,
    Word::Heartbeats,
    Word::Clocks,
    Word::Kernel,
    Word::Pools,
    Word::Rivals,
    Word::Wire,
    Word::Cloud,
];

#[test]
fn a_whole_cluster_leaves_a_line_for_each_part_and_nothing_amiss() {
    let findings = examine(&whole());
    let words: BTreeSet<_> = findings.iter().map(|finding| finding.word).collect();
    assert!(
        findings.iter().all(|it| it.severity == Severity::Ok),
        "{findings:#?}"
    );
    // Without a Service that wants a cloud's balancer there is nothing to say of it.
    let wanted = WELL.into_iter().filter(|word| *word != Word::Cloud);
    assert_eq!(words, wanted.collect());
    let mut facts = whole();
    first_service(&mut facts).class = Some("herald.dev/aws-nlb".to_owned());
    for node in facts.nodes.as_mut().unwrap() {
        node.provider_id = Some("aws:///eu-1a/i-1".to_owned());
    }
    assert!(
        examine(&facts)
            .iter()
            .any(|it| it.word == Word::Cloud && it.severity == Severity::Ok)
    );
}

#[test]
fn each_finding_fires_on_what_it_is_about() {
    for (word, severity, object, words, spoil) in cases() {
        let mut facts = whole();
        spoil(&mut facts);
        let findings = examine(&facts);
        let found = findings
            .iter()
            .find(|it| it.word == word && it.message.contains(words));
        let found = found.unwrap_or_else(|| panic!("{word:?} with {words:?}: {findings:#?}"));
        assert_eq!(
            (found.severity, found.object.as_str()),
            (severity, object),
            "{found:?}"
        );
        assert_eq!(
            found.repair.is_some(),
            severity != Severity::Skip,
            "{found:?}"
        );
        let sorted = findings
            .windows(2)
            .all(|pair| pair[0].severity <= pair[1].severity);
        assert!(sorted, "the worst first: {findings:#?}");
    }
}

#[test]
fn every_word_has_a_case() {
    let tried: BTreeSet<Word> = cases().map(|(word, ..)| word).chain(WELL).collect();
    let all: BTreeSet<Word> = Word::ALL.iter().copied().collect();
    assert_eq!(tried, all);
}

#[test]
fn what_is_much_like_a_fault_and_is_none_stays_silent() {
    for (what, change) in harmless::cases() {
        let mut facts = whole();
        change(&mut facts);
        let findings = examine(&facts);
        let amiss: Vec<_> = findings
            .iter()
            .filter(|it| it.severity < Severity::Skip)
            .collect();
        assert!(amiss.is_empty(), "{what}: {amiss:#?}");
    }
}

#[test]
fn a_cluster_of_which_nothing_can_be_read_is_told_as_that() {
    let mut facts = whole();
    facts.installed = Err(forbidden(
        "get",
        "customresourcedefinitions.apiextensions.k8s.io",
    ));
    facts.definitions = Err(forbidden(
        "list",
        "customresourcedefinitions.apiextensions.k8s.io",
    ));
    facts.nodes = Err(forbidden("list", "nodes"));
    facts.agents = Err(forbidden("list", "nodeannouncements.herald.dev"));
    facts.pools = Err(forbidden("list", "addresspools.herald.dev"));
    facts.services = Err(forbidden("list", "services"));
    facts.leases = Err(forbidden("list", "leases.coordination.k8s.io"));
    facts.workloads = Err(forbidden("list", "daemonsets.apps"));
    facts.kube_proxy = Err(forbidden("get", "configmaps/kube-proxy in kube-system"));
    facts.service_ranges = Err(forbidden("list", "servicecidrs.networking.k8s.io"));
    facts.peer_key = Some(Err(forbidden(
        "get",
        "secrets/herald-peer-key in herald-system",
    )));
    facts.cilium_pools = Err(forbidden("list", "ciliumloadbalancerippools.cilium.io"));
    facts.wire = Wire::NotAsked;
    let findings = examine(&facts);
    let unread = findings.iter().filter(|it| it.word == Word::CouldNotRead);
    assert_eq!(unread.count(), 12);
    let rest = findings.iter().filter(|it| it.word != Word::CouldNotRead);
    assert!(
        rest.clone().all(|it| it.severity == Severity::Skip),
        "{rest:#?}",
        rest = rest.collect::<Vec<_>>()
    );
}

#[test]
fn the_page_explains_every_word() {
    let page = include_str!("../../docs/check.md");
    for word in Word::ALL {
        let row = format!("| `{}` |", word.as_str());
        assert!(
            page.lines().any(|line| line.starts_with(&row)),
            "docs/check.md has no row {row}"
        );
    }
}
