//! What of the Services is shown: the query of the page and of `/status.json`.

use serde::{Deserialize, Serialize};

use super::html::encoded;
use crate::survey::{Line, Status, Trouble};

/// Services on one page.
pub(super) const PAGE: usize = 100;

/// A query. What it does not say restricts nothing; what it says and is not known is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// Services of this namespace.
    pub namespace: String,
    /// Services of which some word holds this text.
    pub q: String,
    /// Services with an address of this pool.
    pub pool: String,
    /// Services with an address that this node announces.
    pub node: String,
    /// Services in this state.
    pub state: String,
    /// Services that are not as they should be; `false`, `no` and `0` are as if it was left out.
    pub amiss: Option<String>,
    /// Which page of them, from 1.
    pub page: Option<usize>,
}

/// A part of a [`Status`]; printed as `herald status` prints the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part<'a> {
    well: bool,
    services: Vec<&'a Line>,
    agents: &'a [Trouble],
}

impl View {
    /// What of the Services is meant, in their order. All of it, unless a page is named.
    #[must_use]
    pub fn part<'a>(&self, status: &'a Status) -> Part<'a> {
        let chosen = status.services.iter().filter(|line| self.shows(line));
        let chosen: Vec<_> = match self.page {
            None => chosen.collect(),
            Some(page) => chosen.skip(before(page)).take(PAGE).collect(),
        };
        Part {
            well: chosen.iter().all(|line| line.well),
            services: chosen,
            agents: &status.agents,
        }
    }

    /// The same for people: what is amiss comes first.
    pub(super) fn lines<'a>(&self, status: &'a Status) -> Vec<&'a Line> {
        let mut lines: Vec<_> = status
            .services
            .iter()
            .filter(|line| self.shows(line))
            .collect();
        lines.sort_by_key(|line| line.well);
        lines
    }

    /// The lines of the page that is meant, or of the last one.
    pub(super) fn page<'a, 'b>(&self, lines: &'b [&'a Line]) -> (usize, &'b [&'a Line]) {
        let last = lines.len().div_ceil(PAGE).max(1);
        let page = self.page.unwrap_or(1).clamp(1, last);
        let rest = lines.get(before(page)..).unwrap_or_default();
        (page, rest.get(..PAGE).unwrap_or(rest))
    }

    pub(super) fn only_amiss(&self) -> bool {
        self.amiss
            .as_deref()
            .is_some_and(|word| !matches!(word, "false" | "no" | "0"))
    }

    /// Whether it leaves anything out.
    pub(super) fn restricts(&self) -> bool {
        let Self {
            namespace,
            q,
            pool,
            node,
            state,
            ..
        } = self;
        self.only_amiss()
            || [namespace, q, pool, node, state]
                .iter()
                .any(|word| !word.is_empty())
    }

    fn shows(&self, line: &Line) -> bool {
        let is = |wanted: &str, word: &str| wanted.is_empty() || wanted == word;
        is(&self.namespace, &line.namespace)
            && is(&self.state, &line.state)
            && !(self.only_amiss() && line.well)
            && (self.node.is_empty() || line.nodes.contains(&self.node))
            && (self.pool.is_empty() || line.pools().any(|pool| pool == self.pool))
            && (self.q.is_empty() || holds(line, &self.q.to_lowercase()))
    }

    /// The query that leads to a page of the same Services.
    pub(super) fn of_page(&self, page: usize) -> String {
        let words = [
            ("namespace", &self.namespace),
            ("q", &self.q),
            ("pool", &self.pool),
            ("node", &self.node),
            ("state", &self.state),
        ];
        let mut parts: Vec<_> = words
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        if self.only_amiss() {
            parts.push("amiss".to_owned());
        }
        parts.push(format!("page={page}"));
        format!("?{}", parts.join("&"))
    }
}

/// How many lines come before a page.
fn before(page: usize) -> usize {
    page.saturating_sub(1).saturating_mul(PAGE)
}

fn holds(line: &Line, wanted: &str) -> bool {
    let has = |word: &str| word.to_lowercase().contains(wanted);
    // As a Service is called elsewhere, so that one can be pasted.
    has(&format!("{}/{}", line.namespace, line.name))
        || has(&line.state)
        || has(&line.message)
        || [&line.address, &line.hostname, &line.pool]
            .into_iter()
            .flatten()
            .any(|word| has(word))
        || line.nodes.iter().chain(&line.ports).any(|word| has(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(namespace: &str, name: &str, well: bool) -> Line {
        Line {
            well,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            class: None,
            policy: "Cluster".to_owned(),
            ports: vec!["TCP/80".to_owned()],
            address: well.then(|| "10.0.0.1".to_owned()),
            hostname: None,
            pool: well.then(|| "lan, lan6".to_owned()),
            nodes: well.then(|| "node-1".to_owned()).into_iter().collect(),
            interfaces: Vec::new(),
            since: None,
            state: if well { "Announcing" } else { "PoolExhausted" }.to_owned(),
            message: String::new(),
        }
    }

    fn status(services: Vec<Line>) -> Status {
        Status {
            well: services.iter().all(|line| line.well),
            services,
            agents: Vec::new(),
        }
    }

    #[test]
    fn each_word_of_a_query_restricts() {
        let status = status(vec![
            line("shop", "late", false),
            line("shop", "web", true),
            line("team-a", "Web-2", true),
        ]);
        let view = |change: fn(&mut View)| {
            let mut view = View::default();
            change(&mut view);
            view
        };
        for (view, names) in [
            (view(|_| {}), &["late", "web", "Web-2"][..]),
            (view(|v| v.namespace = "team-a".into()), &["Web-2"]),
            (view(|v| v.q = "WEB".into()), &["web", "Web-2"]),
            (view(|v| v.q = "shop/w".into()), &["web"]),
            (view(|v| v.q = "exhausted".into()), &["late"]),
            (view(|v| v.pool = "lan6".into()), &["web", "Web-2"]),
            (view(|v| v.pool = "la".into()), &[]),
            (view(|v| v.node = "node-1".into()), &["web", "Web-2"]),
            (view(|v| v.state = "PoolExhausted".into()), &["late"]),
            (view(|v| v.amiss = Some(String::new())), &["late"]),
            (
                view(|v| v.amiss = Some("no".into())),
                &["late", "web", "Web-2"],
            ),
        ] {
            let part = view.part(&status);
            let told: Vec<_> = part.services.iter().map(|l| l.name.as_str()).collect();
            assert_eq!(told, names, "{view:?}");
            assert_eq!(part.well, !names.contains(&"late"));
            assert_eq!(
                view.restricts(),
                view.amiss != Some("no".into()) && view != View::default()
            );
        }
    }

    #[test]
    fn pages_are_whole_and_links_lead_to_them() {
        let many = (0..PAGE + 1).map(|n| line("a", &format!("s{n:03}"), n != PAGE));
        let status = status(many.collect());
        let mut view = View {
            q: "s&1".into(),
            amiss: Some(String::new()),
            ..View::default()
        };
        assert_eq!(view.of_page(2), "?q=s%261&amiss&page=2");
        view = View::default();
        let lines = view.lines(&status);
        assert!(!lines[0].well, "what is amiss comes first");
        for (page, shown, count) in [
            (None, 1, PAGE),
            (Some(0), 1, PAGE),
            (Some(2), 2, 1),
            (Some(usize::MAX), 2, 1),
        ] {
            view.page = page;
            let (number, lines) = view.page(&lines);
            assert_eq!((number, lines.len()), (shown, count));
        }
        view.page = Some(2);
        assert_eq!(view.part(&status).services.len(), 1);
    }
}
