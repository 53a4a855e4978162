//! What somebody should look at: the headline, and the lines under it.

use std::collections::{BTreeMap, BTreeSet};

use super::Picture;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How many things it is about.
    pub count: usize,
    /// Something is amiss; else it is only good to know.
    pub amiss: bool,
    /// What it is.
    pub words: String,
    /// Where on the page it is told.
    pub place: &'static str,
}

/// How many names a line has room for.
const NAMED: usize = 4;

/// Everything to look at, what is amiss first.
#[must_use]
pub fn findings(picture: &Picture) -> Vec<Finding> {
    let found = [
        leading(picture),
        reading(picture),
        services(picture),
        pools(picture),
        agents(picture),
        nodes(picture),
        full(picture),
        quarantined(picture),
    ];
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    found.sort_by_key(|finding| !finding.amiss);
    found
}

fn finding(amiss: bool, count: usize, words: String, place: &'static str) -> Option<Finding> {
    (count > 0).then_some(Finding {
        count,
        amiss,
        words,
        place,
    })
}

fn leading(picture: &Picture) -> Option<Finding> {
    let lead = &picture.lead;
    let nobody = !lead.leads && lead.holder.is_none();
    let words = "no controller leads: nothing is decided until one does".to_owned();
    finding(true, usize::from(nobody), words, "#controller")
}

fn reading(picture: &Picture) -> Option<Finding> {
    let words = picture.unread.join("; ");
    finding(true, picture.unread.len(), words, "#controller")
}

fn services(picture: &Picture) -> Option<Finding> {
    let mut services = BTreeSet::new();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for line in picture.status.services.iter().filter(|line| !line.well) {
        services.insert((&line.namespace, &line.name));
        *states.entry(&line.state).or_default() += 1;
    }
    let states = states.iter().map(|(state, count)| match count {
        1 => (*state).to_owned(),
        count => format!("{count} {state}"),
    });
    let words = format!(
        "{}: {}",
        counted(services.len(), "Service"),
        some(states.collect())
    );
    finding(true, services.len(), words, "?amiss#services")
}

fn pools(picture: &Picture) -> Option<Finding> {
    let amiss = picture.pools.pools.iter().filter(|pool| !pool.well);
    let names: Vec<_> = amiss
        .map(|pool| match (&pool.degraded, pool.ready) {
            (Some(degraded), true) => format!("{} ({})", pool.name, degraded.reason),
            _ => format!("{} ({})", pool.name, pool.reason),
        })
        .collect();
    let count = names.len();
    let words = format!("{}: {}", counted(count, "pool"), some(names));
    finding(true, count, words, "#pools")
}

fn agents(picture: &Picture) -> Option<Finding> {
    let troubles = &picture.status.agents;
    let words = troubles
        .iter()
        .map(|trouble| format!("{} ({})", trouble.node, trouble.state));
    let words = format!(
        "{}: {}",
        counted(troubles.len(), "agent"),
        some(words.collect())
    );
    finding(true, troubles.len(), words, "#conflicts")
}

fn nodes(picture: &Picture) -> Option<Finding> {
    let troubles = picture.nodes.iter().filter(|node| !node.well);
    let names: Vec<_> = troubles.map(|node| node.name.clone()).collect();
    let count = names.len();
    let verb = if count == 1 { "needs" } else { "need" };
    let words = format!("{} {verb} a look: {}", counted(count, "node"), some(names));
    finding(false, count, words, "#nodes")
}

fn full(picture: &Picture) -> Option<Finding> {
    let full = picture.pools.pools.iter().flat_map(|pool| {
        let full = pool.families.iter().filter(|numbers| numbers.is_full());
        full.map(move |numbers| match pool.families.len() {
            1 => pool.name.clone(),
            _ => format!("{} ({})", pool.name, numbers.family),
        })
    });
    let names: Vec<_> = full.collect();
    let count = names.len();
    let verb = if count == 1 { "is" } else { "are" };
    let words = format!("{} {verb} full: {}", counted(count, "pool"), some(names));
    finding(false, count, words, "#pools")
}

fn quarantined(picture: &Picture) -> Option<Finding> {
    let over = picture.conflicts.iter().filter(|conflict| conflict.is_over);
    let names: Vec<_> = over
        .filter_map(|conflict| conflict.address.clone())
        .collect();
    let count = names.len();
    let noun = if count == 1 {
        "address is"
    } else {
        "addresses are"
    };
    let words = format!("{count} {noun} in quarantine: {}", some(names));
    finding(false, count, words, "#conflicts")
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// As many as there is room for.
fn some(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<_> = names.into_iter().take(NAMED).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
