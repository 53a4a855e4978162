//! Pools, and how full they are.

use super::{
    html::{Html, encoded, grouped},
    words::Used,
};
use crate::survey::{Numbers, Pool, Pools};

/// One of the numbers.
type Column = fn(&Numbers) -> &Option<String>;

/// Ranges of a pool that are shown; a pool may have hundreds.
const RANGES: usize = 6;

pub(super) fn section(html: &mut Html, pools: &Pools, used: &mut Used) {
    html.raw("<section id=pools><h2>Pools</h2>\n");
    if pools.pools.is_empty() {
        html.raw(
            "<p class=empty>There is no AddressPool, so no Service gets an address from one: see \
             <code>herald pools</code> for one to begin with.</p></section>\n",
        );
        return;
    }
    html.table(
        "pools",
        "How full each pool is, by address family",
        &[
            ("", "Pool"),
            ("", "Family"),
            ("wide", "How full"),
            ("number", "Used"),
            ("number", "Reserved"),
            ("number", "Quarantined"),
            ("number", "Free"),
            ("", "State"),
        ],
    );
    for pool in &pools.pools {
        if pool.families.is_empty() {
            row(html, pool, None, used);
        }
        for numbers in &pool.families {
            row(html, pool, Some(numbers), used);
        }
    }
    html.raw(
        "</tbody></table>\n<p class=legend aria-hidden=true><svg><rect class=used /></svg> used <svg><rect \
         class=reserved /><rect class=hatched /></svg> reserved for a deleted Service's return <svg><rect \
         class=quarantined /><rect class=dotted /></svg> in quarantine: another host has it <svg><rect class=free \
         /></svg> free</p></section>\n",
    );
}

fn row(html: &mut Html, pool: &Pool, numbers: Option<&Numbers>, used: &mut Used) {
    html.raw("<tr role=row>").cell("name", "Pool");
    html.raw("<a")
        .attribute("href", &format!("?pool={}#services", encoded(&pool.name)))
        .attribute("title", "its Services")
        .raw(">")
        .apart(&pool.name)
        .raw("</a><small>");
    let is_of_family = |range: &&String| match numbers.map(|numbers| numbers.family) {
        Some("IPv6") => range.contains(':'),
        Some(_) => !range.contains(':'),
        None => true,
    };
    let ranges: Vec<_> = pool.addresses.iter().filter(is_of_family).collect();
    for (index, range) in ranges.iter().take(RANGES).enumerate() {
        html.raw(if index == 0 { "" } else { ", " }).apart(range);
    }
    let more = ranges.len().saturating_sub(RANGES);
    if more > 0 {
        html.raw(" and ").text(&more.to_string()).raw(" more");
    }
    html.raw("</small></td>");
    html.cell("", "Family");
    html.text(numbers.map_or("", |numbers| numbers.family))
        .raw("</td>");
    html.cell("wide", "How full");
    if let Some(numbers) = numbers {
        bar(html, &pool.name, numbers);
    }
    html.raw("</td>");
    let columns: [(&str, Column); 4] = [
        ("Used", |n| &n.used),
        ("Reserved", |n| &n.reserved),
        ("Quarantined", |n| &n.quarantined),
        ("Free", |n| &n.free),
    ];
    for (heading, of) in columns {
        html.cell("number", heading);
        match numbers.and_then(|numbers| of(numbers).as_deref()) {
            Some(number) => amount(html, number),
            None => drop(html.raw("<span class=dim>not counted</span>")),
        }
        if heading == "Free"
            && let Some(capacity) = numbers.and_then(|numbers| numbers.capacity.as_deref())
        {
            html.raw(" <span class=dim>of ");
            amount(html, capacity);
            html.raw("</span>");
        }
        html.raw("</td>");
    }
    html.cell("state", "State");
    state(html, pool, numbers, used);
    html.raw("</td></tr>\n");
}

fn state(html: &mut Html, pool: &Pool, numbers: Option<&Numbers>, used: &mut Used) {
    match (pool.ready, &pool.degraded) {
        (false, _) => {
            html.raw("<span class=amiss>✕ ");
            used.show(html, &pool.reason, "Pools");
            html.raw("</span><small>").apart(&pool.message);
            html.raw("</small>");
        }
        (true, Some(degraded)) => {
            html.raw("<span class=amiss>✕ ");
            used.show(html, &degraded.reason, "Pools");
            html.raw("</span><small>").apart(&degraded.message);
            html.raw("</small>");
        }
        (true, None) if numbers.is_some_and(Numbers::is_full) => {
            html.raw("<span class=notice>▲ full</span><small>nothing is left to give</small>");
        }
        (true, None) => drop(html.raw("<span class=well>✓ Ready</span>")),
    }
}

/// A number that may be too long to read, as those of IPv6 are.
fn amount(html: &mut Html, digits: &str) {
    const READABLE: usize = 9;
    if digits.len() <= READABLE {
        html.text(&grouped(digits));
        return;
    }
    let number: f64 = digits.parse().unwrap_or(f64::NAN);
    html.raw("<span")
        .attribute("title", digits)
        .raw(">≈ ")
        .text(&format!("{number:.1e}").replace('e', " · 10^"))
        .raw("</span>");
}

/// How much of the capacity is what, side by side. The numbers beside it say the same.
fn bar(html: &mut Html, pool: &str, numbers: &Numbers) {
    let number = |of: &Option<String>| of.as_deref().and_then(|text| text.parse::<f64>().ok());
    let Some(capacity) = number(&numbers.capacity).filter(|capacity| *capacity > 0.0) else {
        return;
    };
    let part = |of: &Option<String>| number(of).unwrap_or(0.0) / capacity * 100.0;
    let share = part(&numbers.used);
    html.raw("<svg class=bar role=img")
        .attribute(
            "aria-label",
            &format!("{pool} {}: {} used", numbers.family, percent(share)),
        )
        .raw("><rect class=free width=\"100%\" />");
    let mut at = 0.0;
    let parts: [(&str, Option<&str>, &Option<String>); 3] = [
        ("used", None, &numbers.used),
        ("reserved", Some("hatched"), &numbers.reserved),
        ("quarantined", Some("dotted"), &numbers.quarantined),
    ];
    for (class, pattern, of) in parts {
        let mut width = part(of);
        if width > 0.0 {
            // A single one of many is seen, too.
            width = width.max(0.7).min(100.0 - at);
            for class in [Some(class), pattern].into_iter().flatten() {
                html.raw("<rect")
                    .attribute("class", class)
                    .attribute("x", &format!("{at:.2}%"))
                    .attribute("width", &format!("{width:.2}%"))
                    .raw(" />");
            }
            at += width;
        }
    }
    html.raw("</svg><span class=percent>")
        .text(&percent(share))
        .raw("</span>");
}

/// None and all are said only where it is so.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 1.0 {
        "< 1 %".to_owned()
    } else if share < 100.0 && share > 99.0 {
        "> 99 %".to_owned()
    } else {
        format!("{share:.0} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pool_and_an_empty_one_are_told_from_almost_so() {
        for (share, text) in [
            (0.0, "0 %"),
            (1e-17, "< 1 %"),
            (50.4, "50 %"),
            (99.9, "> 99 %"),
            (100.0, "100 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn numbers_of_ipv6_are_readable() {
        for (digits, shown) in [
            ("256", "256"),
            ("16777216", "16\u{202f}777\u{202f}216"),
            (
                "18446744073709551616",
                "<span title=\"18446744073709551616\">≈ 1.8 · 10^19</span>",
            ),
        ] {
            let mut html = Html::default();
            amount(&mut html, digits);
            assert_eq!(html.into_string(), shown);
        }
    }
}
