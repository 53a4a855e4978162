//! Who else has an address, and who does not hear whom.

use super::{html::Html, moment, words::Used};
use crate::survey::Conflict;

/// As many are shown; a cut segment makes one for each address.
const SHOWN: usize = 50;

pub(super) fn section(html: &mut Html, conflicts: &[Conflict], now: i64, used: &mut Used) {
    html.raw("<section id=conflicts><h2>Conflicts and unheard peers</h2>\n");
    if conflicts.is_empty() {
        html.raw("<p class=empty>None: no other host has an address of Herald's, and all agents hear each other.</p></section>\n");
        return;
    }
    html.table(
        "conflicts",
        "Addresses that other hosts have or that nobody reaches, and agents that are not heard",
        &[
            ("", "What"),
            ("", "Address"),
            ("", "Seen by"),
            ("wide", "Why"),
        ],
    );
    for conflict in conflicts.iter().take(SHOWN) {
        row(html, conflict, now, used);
    }
    html.raw("</tbody></table>\n");
    let more = conflicts.len().saturating_sub(SHOWN);
    if more > 0 {
        html.raw("<p class=count>and ")
            .text(&more.to_string())
            .raw(" more</p>\n");
    }
    html.raw("</section>\n");
}

fn row(html: &mut Html, conflict: &Conflict, now: i64, used: &mut Used) {
    html.raw("<tr role=row>").cell("state", "What");
    html.raw(if conflict.is_over {
        "<span class=notice>▲ "
    } else {
        "<span class=amiss>✕ "
    });
    used.show(html, &conflict.state, "Announcements");
    html.raw("</span>");
    if let Some(since) = &conflict.since {
        html.raw("<small>for ");
        moment::ago(html, since, now);
        html.raw("</small>");
    }
    html.raw("</td>").cell("address", "Address");
    if let Some(address) = &conflict.address {
        html.raw("<code>").apart(address).raw("</code>");
    }
    if let Some(service) = &conflict.service {
        html.raw("<small>").apart(service).raw("</small>");
    }
    html.raw("</td>").cell("node", "Seen by");
    html.apart(conflict.node.as_deref().unwrap_or_default());
    if let Some(interface) = &conflict.interface {
        html.raw(" <small>").apart(interface).raw("</small>");
    }
    html.raw("</td>").cell("wide why", "Why");
    html.apart(&conflict.message);
    if let Some(mac) = &conflict.mac {
        html.raw("<small>the other host: <code>")
            .apart(mac)
            .raw("</code></small>");
    }
    html.raw("</td></tr>\n");
}
