//! The document around the sections.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::digest;

use super::{
    Finding, Lead, Picture, View, conflicts, findings, html::Html, moment, moves, nodes, pools,
    services, words::Used,
};

const STYLE: &str = include_str!("style.css");
/// Looks again every few seconds. Without it the browser loads the page anew.
const LIVE: &str = include_str!("live.js");
const WELL: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' \
                    cy='8' r='8' fill='%231a7f37'/%3E%3Cpath d='M4 8.5 7 11.5 12 5' fill='none' stroke='white' \
                    stroke-width='2'/%3E%3C/svg%3E";
const AMISS: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' \
                     cy='8' r='8' fill='%23c62828'/%3E%3Cpath d='M5 5 11 11M11 5 5 11' stroke='white' \
                     stroke-width='2'/%3E%3C/svg%3E";

/// The `Content-Security-Policy` of every document: its own style and script, by their hashes, and nothing else.
#[must_use]
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; form-action \
             'self'; base-uri 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(LIVE)
        )
    });
    &POLICY
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest))
}

/// The page of the picture, as it is at a moment in seconds of Unix time.
#[must_use]
pub fn document(picture: &Picture, view: &View, now: i64) -> String {
    let found = findings(picture);
    let amiss: usize = found.iter().filter(|f| f.amiss).map(|f| f.count).sum();
    let title = match amiss {
        0 => "all is well".to_owned(),
        1 => "1 thing amiss".to_owned(),
        amiss => format!("{amiss} things amiss"),
    };
    let mut html = Html::default();
    head(&mut html, &title, amiss == 0);
    html.raw("<main>\n");
    headline(&mut html, &title, amiss == 0, &found);
    controller(&mut html, picture, now);
    let mut used = Used::default();
    html.raw("<div class=columns>\n");
    pools::section(&mut html, &picture.pools, &mut used);
    conflicts::section(&mut html, &picture.conflicts, now, &mut used);
    services::section(&mut html, &picture.status, view, now, &mut used);
    moves::section(&mut html, &picture.moves, picture.moves_cut, now);
    nodes::section(&mut html, &picture.nodes, now);
    html.raw("</div>\n");
    used.explain(&mut html);
    html.raw("</main>\n");
    foot(&mut html);
    html.into_string()
}

/// The page when there is nothing to show, and why.
#[must_use]
pub fn refusal(why: &str) -> String {
    let mut html = Html::default();
    head(&mut html, "cannot be told", false);
    html.raw("<main>\n<section id=headline class=amiss><h1><span aria-hidden=true>✕</span> It cannot be told how it stands</h1><ul><li>")
        .apart(why)
        .raw("</ul></section>\n</main>\n");
    foot(&mut html);
    html.into_string()
}

fn head(html: &mut Html, title: &str, well: bool) {
    html.raw("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Herald: ")
        .text(title)
        .raw(
            "</title>\n<meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme \
             content=\"light dark\"><meta name=referrer content=no-referrer>\n<link rel=icon",
        )
        .attribute("href", if well { WELL } else { AMISS })
        .raw(">\n<noscript><meta http-equiv=refresh content=10></noscript>\n<style>")
        .raw(STYLE)
        .raw("</style></head>\n<body>\n")
        // Patterns, so that parts of a bar differ by more than their colour.
        .raw(
            "<svg class=patterns aria-hidden=true><defs><pattern id=hatch width=6 height=6 \
             patternUnits=userSpaceOnUse patternTransform=\"rotate(45)\"><line y2=6 /></pattern><pattern id=dots \
             width=5 height=5 patternUnits=userSpaceOnUse><circle cx=2.5 cy=2.5 r=1.2 /></pattern></defs></svg>\n",
        )
        .raw(
            "<p id=stale role=alert hidden>The controller does not answer. What is shown is what it said last.</p>\n",
        );
}

fn headline(html: &mut Html, title: &str, well: bool, found: &[Finding]) {
    html.raw(if well {
        "<section id=headline class=well><h1><span aria-hidden=true>✓</span> "
    } else {
        "<section id=headline class=amiss><h1><span aria-hidden=true>✕</span> "
    });
    let mut capitals = title.chars();
    let first = capitals.next().map(|c| c.to_uppercase().to_string());
    html.text(&first.unwrap_or_default())
        .text(capitals.as_str())
        .raw("</h1>");
    if !found.is_empty() {
        html.raw("<ul>");
        for finding in found {
            html.raw(if finding.amiss {
                "<li class=amiss><span aria-hidden=true>✕</span> <a"
            } else {
                "<li class=notice><span aria-hidden=true>▲</span> <a"
            })
            .attribute("href", finding.place)
            .raw(">")
            .apart(&finding.words)
            .raw("</a></li>");
        }
        html.raw("</ul>");
    }
    html.raw("</section>\n");
}

/// Who says it, and when.
fn controller(html: &mut Html, picture: &Picture, now: i64) {
    let Lead {
        me,
        leads,
        holder,
        since,
    } = &picture.lead;
    html.raw("<p id=controller>Controller <code>")
        .apart(me)
        .raw("</code> ");
    match (leads, holder) {
        (true, _) => html.raw("<b>leads</b>"),
        (false, Some(holder)) => html
            .raw("stands by and reads the same; <code>")
            .apart(holder)
            .raw("</code> <b>leads</b>"),
        (false, None) => html.raw("stands by, and <b class=amiss>nobody leads</b>"),
    };
    if let Some(since) = since {
        html.raw(", for ");
        moment::ago_at(html, *since, now);
    }
    html.raw(". Read at ");
    if let Ok(read) = Timestamp::from_second(picture.read) {
        moment::clock(html, read);
    }
    html.raw(" UTC.</p>\n");
}

fn foot(html: &mut Html) {
    html.raw(
        "<footer>Herald ",
    )
    .text(env!("CARGO_PKG_VERSION"))
    .raw(
        " · nothing can be changed here · for scripts: <a href=status.json>status.json</a>, <a \
         href=pools.json>pools.json</a> · why a Service has its address, or none: <code>herald explain \
         NAMESPACE/NAME</code></footer>\n<script>",
    )
    .raw(LIVE)
    .raw("</script>\n</body></html>\n");
}
