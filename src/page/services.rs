//! Every Service, its addresses, who announces them, and why not.

use std::collections::BTreeSet;

use super::{
    html::{Html, encoded, grouped},
    moment,
    view::View,
    words::Used,
};
use crate::survey::{Line, Status};

/// Namespaces that the field for one proposes.
const PROPOSED: usize = 200;

pub(super) fn section(html: &mut Html, status: &Status, view: &View, now: i64, used: &mut Used) {
    let lines = view.lines(status);
    let (page, shown) = view.page(&lines);
    html.raw("<section id=services><h2>Services</h2>\n");
    form(html, status, view);
    count(html, &lines, status.services.len(), page, shown.len(), view);
    if shown.is_empty() {
        html.raw(if view.restricts() {
            "<p class=empty>No Service is as you asked. <a href=\"?#services\">Show all</a></p></section>\n"
        } else {
            "<p class=empty>No Service of type LoadBalancer is Herald's.</p></section>\n"
        });
        return;
    }
    html.table(
        "services",
        "Services, their addresses, and who announces them",
        &[
            ("", "Service"),
            ("", "Address"),
            ("", "Ports"),
            ("", "Pool"),
            ("", "Node"),
            ("", "Since"),
            ("", "State"),
            ("wide", "Why"),
        ],
    );
    for line in shown {
        row(html, line, now, used);
    }
    html.raw("</tbody></table>\n");
    pages(html, view, page, lines.len());
    html.raw("</section>\n");
}

fn row(html: &mut Html, line: &Line, now: i64, used: &mut Used) {
    html.raw("<tr role=row");
    if !line.well {
        html.attribute("class", "bad");
    }
    html.raw(">").cell("name", "Service");
    html.raw("<a class=dim")
        .attribute(
            "href",
            &format!("?namespace={}#services", encoded(&line.namespace)),
        )
        .raw(">")
        .apart(&line.namespace)
        .raw("</a><span class=dim>/</span><wbr>")
        .apart(&line.name)
        .raw("</td>")
        .cell("address", "Address");
    match (&line.address, &line.hostname) {
        (Some(address), _) => drop(html.raw("<code>").apart(address).raw("</code>")),
        (None, Some(name)) => drop(html.raw("<code class=hostname>").apart(name).raw("</code>")),
        (None, None) => drop(html.raw("<span class=dim>none</span>")),
    }
    html.raw("</td>").cell("ports", "Ports");
    for (index, port) in line.ports.iter().enumerate() {
        html.raw(if index == 0 { "" } else { ", " }).apart(port);
    }
    if line.policy == "Local" {
        html.raw(" <span title=\"externalTrafficPolicy: only nodes with an endpoint announce it\">Local</span>");
    }
    html.raw("</td>").cell("", "Pool");
    for (index, pool) in line.pools().enumerate() {
        html.raw(if index == 0 { "" } else { ", " }).apart(pool);
    }
    html.raw("</td>").cell("node", "Node");
    for (index, node) in line.nodes.iter().enumerate() {
        html.raw(if index == 0 { "" } else { ", " })
            .raw("<a")
            .attribute("href", &format!("?node={}#services", encoded(node)))
            .raw(">")
            .apart(node)
            .raw("</a>");
    }
    if !line.interfaces.is_empty() {
        html.raw(" <small>");
        for (index, interface) in line.interfaces.iter().enumerate() {
            html.raw(if index == 0 { "" } else { ", " })
                .apart(interface);
        }
        html.raw("</small>");
    }
    html.raw("</td>").cell("", "Since");
    if let Some(since) = &line.since {
        moment::ago(html, since, now);
    }
    html.raw("</td>").cell("state", "State");
    html.raw(if line.well {
        "<span class=well>✓ "
    } else {
        "<span class=amiss>✕ "
    });
    used.show(html, &line.state, "Announcements");
    html.raw("</span></td>").cell("wide why", "Why");
    html.apart(&line.message).raw("</td></tr>\n");
}

fn form(html: &mut Html, status: &Status, view: &View) {
    html.raw("<form method=get role=search><label>Find <input type=search name=q size=24")
        .attribute("value", &view.q)
        .attribute("placeholder", "name, address, node, reason …")
        .raw("></label> <label>Namespace <input name=namespace list=namespaces size=12")
        .attribute("value", &view.namespace)
        .raw("></label><datalist id=namespaces>");
    let namespaces: BTreeSet<_> = status.services.iter().map(|l| &l.namespace).collect();
    for namespace in namespaces.into_iter().take(PROPOSED) {
        html.raw("<option").attribute("value", namespace).raw(">");
    }
    html.raw("</datalist> <label><input type=checkbox name=amiss value=yes")
        .raw(if view.only_amiss() { " checked" } else { "" })
        .raw("> only what is amiss</label>");
    // What a link has chosen goes on to count.
    for (name, value) in [
        ("pool", &view.pool),
        ("node", &view.node),
        ("state", &view.state),
    ] {
        if !value.is_empty() {
            html.raw(" <label>")
                .text(name)
                .raw(" <input size=12")
                .attribute("name", name)
                .attribute("value", value)
                .raw("></label>");
        }
    }
    html.raw(" <button>Show</button>");
    if view.restricts() {
        html.raw(" <a href=\"?#services\">all</a>");
    }
    html.raw("</form>\n");
}

fn count(html: &mut Html, lines: &[&Line], all: usize, page: usize, shown: usize, view: &View) {
    let amiss = lines.iter().filter(|line| !line.well).count();
    let number = |number: usize| grouped(&number.to_string());
    html.raw("<p class=count>");
    if shown < lines.len() {
        let first = (page - 1) * super::view::PAGE + 1;
        html.text(&format!(
            "{} to {} of ",
            number(first),
            number(first + shown - 1)
        ));
    }
    html.text(&number(lines.len()))
        .raw(if lines.len() == 1 { " line" } else { " lines" });
    if view.restricts() {
        html.raw(", out of ").text(&number(all));
    }
    html.raw(": ").text(&number(amiss)).raw(" amiss, ");
    html.text(&number(lines.len() - amiss)).raw(" well</p>\n");
}

fn pages(html: &mut Html, view: &View, page: usize, all: usize) {
    let last = all.div_ceil(super::view::PAGE).max(1);
    if last == 1 {
        return;
    }
    html.raw("<nav aria-label=\"Pages of Services\">");
    let near = [1, page - 1, page, page + 1, last];
    let near: BTreeSet<_> = near
        .into_iter()
        .filter(|n| (1..=last).contains(n))
        .collect();
    let mut before = 0;
    for number in near {
        if number > before + 1 {
            html.raw(" … ");
        }
        before = number;
        if number == page {
            html.raw(" <b aria-current=page>")
                .text(&number.to_string())
                .raw("</b>");
        } else {
            html.raw(" <a")
                .attribute("href", &format!("{}#services", view.of_page(number)))
                .raw(">")
                .text(&number.to_string())
                .raw("</a>");
        }
    }
    html.raw("</nav>\n");
}
