//! Nodes and their agents.

use super::{
    html::{Html, encoded},
    moment,
};
use crate::survey::Node;

/// As many have a row; those with something to say come first.
const SHOWN: usize = 100;

pub(super) fn section(html: &mut Html, nodes: &[Node], now: i64) {
    html.raw("<section id=nodes><h2>Nodes</h2>\n");
    if nodes.is_empty() {
        html.raw("<p class=empty>The cluster has no node.</p></section>\n");
        return;
    }
    html.table(
        "nodes",
        "Nodes, and what their agents do",
        &[
            ("", "Node"),
            ("", "State"),
            ("number", "Announces"),
            ("number", "Abnormal"),
            ("number", "Hears"),
            ("number", "Checks"),
            ("", "Last news"),
        ],
    );
    let mut shown: Vec<_> = nodes.iter().collect();
    shown.sort_by_key(|node| (node.well, node.troubles.is_empty()));
    for node in shown.into_iter().take(SHOWN) {
        row(html, node, now);
    }
    html.raw("</tbody></table>\n");
    let more = nodes.len().saturating_sub(SHOWN);
    if more > 0 {
        html.raw("<p class=count>and ")
            .text(&more.to_string())
            .raw(" more, with nothing to say of them</p>\n");
    }
    html.raw("</section>\n");
}

fn row(html: &mut Html, node: &Node, now: i64) {
    html.raw("<tr role=row>").cell("name", "Node");
    html.raw("<a")
        .attribute("href", &format!("?node={}#services", encoded(&node.name)))
        .attribute("title", "what it announces")
        .raw(">")
        .apart(&node.name)
        .raw("</a></td>")
        .cell("state", "State");
    let words = words(node);
    match (node.well, words.as_str()) {
        (true, "") => drop(html.raw("<span class=well>✓ well</span>")),
        (true, words) => drop(html.raw("<span class=notice>▲ ").text(words).raw("</span>")),
        (false, words) => drop(html.raw("<span class=amiss>✕ ").text(words).raw("</span>")),
    }
    html.raw("</td>");
    let Some(counts) = node.counts else {
        html.raw("<td role=cell colspan=5 class=dim>has said nothing</td></tr>\n");
        return;
    };
    for (heading, number) in [
        ("Announces", counts.announcing),
        ("Abnormal", counts.abnormal),
    ] {
        html.cell("number", heading);
        html.number(number).raw("</td>");
    }
    html.cell("number", "Hears");
    html.number(counts.peers)
        .raw(if counts.peers == 1 { " peer" } else { " peers" })
        .raw("</td>");
    html.cell("number", "Checks");
    match (counts.checked, counts.failing) {
        (0, 0) => drop(html.raw("<span class=dim>none</span>")),
        (checked, 0) => drop(html.number(checked).raw(" pass")),
        (checked, failing) => drop(
            html.raw("<span class=amiss>")
                .number(failing)
                .raw("</span> of ")
                .number(checked)
                .raw(" fail"),
        ),
    }
    html.raw("</td>").cell("", "Last news");
    if let Some(written) = node.written {
        moment::ago_at(html, written, now);
    }
    html.raw("</td></tr>\n");
}

/// What is to be said of it, and the counts that should be none.
fn words(node: &Node) -> String {
    let mut words: Vec<_> = node
        .troubles
        .iter()
        .map(|trouble| trouble.words().to_owned())
        .collect();
    let counts = node.counts.unwrap_or_default();
    if counts.abnormal > 0 {
        words.push(format!("{} abnormal", counts.abnormal));
    }
    if counts.failing > 0 {
        words.push(format!("{} of others unreached", counts.failing));
    }
    words.join(", ")
}
