//! The timeline of moves.

use jiff::Timestamp;

use super::{html::Html, moment};
use crate::survey::{Move, Pause};

/// As many moves have a row.
const SHOWN: usize = 30;
/// How long the strip is: the API server keeps Events for as long, unless told otherwise.
const HOUR: i64 = 3_600_000;

pub(super) fn section(html: &mut Html, moves: &[Move], cut: bool, now: i64) {
    html.raw("<section id=moves><h2>Moves</h2>\n");
    if moves.is_empty() {
        html.raw("<p class=empty>None that the API server still remembers: it keeps Events for an hour, unless told otherwise.</p></section>\n");
        return;
    }
    strip(html, moves, now);
    html.table(
        "moves",
        "Addresses that came to another node, the latest first",
        &[
            ("", "When"),
            ("", "Address"),
            ("", "From → to"),
            ("wide", "Why"),
            ("number", "Nobody answered"),
        ],
    );
    for told in moves.iter().take(SHOWN) {
        row(html, told, now);
    }
    html.raw("</tbody></table>\n");
    let more = moves.len().saturating_sub(SHOWN);
    if more > 0 || cut {
        html.raw("<p class=count>and ")
            .text(&more.to_string())
            .raw(if cut { " or more" } else { " more" })
            .raw(" before: <code>kubectl get events -A --field-selector reason=Moved</code></p>\n");
    }
    html.raw("</section>\n");
}

fn row(html: &mut Html, told: &Move, now: i64) {
    html.raw("<tr role=row>").cell("when", "When");
    if let Ok(when) = Timestamp::from_millisecond(told.when) {
        moment::clock(html, when);
        html.raw("<small>")
            .text(&moment::span(now.saturating_sub(when.as_second())))
            .raw(" ago</small>");
    }
    html.raw("</td>").cell("address", "Address");
    if let Some(path) = &told.path {
        html.raw("<code>").apart(&path.address).raw("</code>");
    }
    html.raw("<small>")
        .apart(&told.service.to_string())
        .raw("</small></td>")
        .cell("node", "From → to");
    if let Some(path) = &told.path {
        html.apart(&path.from)
            .raw(" <span class=dim>→</span> ")
            .apart(&path.to)
            .raw(" <small>")
            .apart(&path.interface)
            .raw("</small>");
    }
    html.raw("</td>").cell("wide why", "Why");
    // Words of another version are shown as they are.
    let why = told.path.as_ref().map_or(&told.note, |path| &path.why);
    html.apart(why)
        .raw("</td>")
        .cell("number", "Nobody answered");
    match told.path.as_ref().and_then(|path| path.pause) {
        Some(Pause::None) => drop(html.raw("<span class=well>no break</span>")),
        Some(Pause::Millis(millis)) => drop(html.number(millis).raw(" ms")),
        None => {}
    }
    html.raw("</td></tr>\n");
}

/// The last hour at a glance. Each move is in the table, too.
fn strip(html: &mut Html, moves: &[Move], now: i64) {
    html.raw(
        "<div class=strip aria-hidden=true><svg><line class=axis x1=0 x2=\"100%\" y1=17 y2=17 />",
    );
    for minutes in [0_i64, 15, 30, 45, 60] {
        let x = format!("{:.2}%", place(-minutes * 60_000));
        html.raw("<line class=axis y1=14 y2=20")
            .attribute("x1", &x)
            .attribute("x2", &x)
            .raw(" />");
    }
    let end = now.saturating_mul(1_000);
    for told in moves {
        let since = told.when.saturating_sub(end);
        if !(-HOUR..=60_000).contains(&since) {
            continue;
        }
        let pause = told.path.as_ref().and_then(|path| path.pause);
        let x = format!("{:.2}%", place(since.min(0)));
        html.raw("<circle cy=9 r=4")
            .raw(match pause {
                Some(Pause::None) => " class=planned",
                _ => " class=failover",
            })
            .attribute("cx", &x)
            .raw("><title>")
            .text(&told.note)
            .raw("</title></circle>");
    }
    html.raw(
        "</svg><span>an hour ago</span><span>45 min</span><span>30 min</span><span>15 min</span><span>now</span></div>\n\
         <p class=legend aria-hidden=true><svg><circle class=planned cx=6 cy=6 r=4 /></svg> without a break <svg><circle \
         class=failover cx=6 cy=6 r=4 /></svg> after a failure</p>\n",
    );
}

/// Where on the strip a moment so many milliseconds from now is, in percent; the ends are a little inside.
fn place(since: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an hour of milliseconds")]
    let share = (since + HOUR) as f64 / HOUR as f64;
    1.0 + share.clamp(0.0, 1.0) * 98.0
}
