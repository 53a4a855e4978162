//! Moments and spans of time for people.

use jiff::Timestamp;

use super::html::Html;

/// A moment that objects tell: how long ago, and exactly on demand. What cannot be read is shown as it is.
pub(super) fn ago(html: &mut Html, moment: &str, now: i64) {
    match moment.parse::<Timestamp>() {
        Ok(moment) => ago_of(html, moment, now),
        Err(_) => drop(html.apart(moment)),
    }
}

/// The same for seconds of Unix time.
pub(super) fn ago_at(html: &mut Html, seconds: i64, now: i64) {
    if let Ok(moment) = Timestamp::from_second(seconds) {
        ago_of(html, moment, now);
    }
}

fn ago_of(html: &mut Html, moment: Timestamp, now: i64) {
    let exact = second(moment).to_string();
    html.raw("<time")
        .attribute("datetime", &exact)
        .attribute("title", &exact)
        .raw(">")
        .text(&span(now.saturating_sub(moment.as_second())))
        .raw("</time>");
}

/// A moment of a day, to the second, with the whole of it on demand.
pub(super) fn clock(html: &mut Html, moment: Timestamp) {
    let exact = second(moment);
    html.raw("<time")
        .attribute("datetime", &exact.to_string())
        .attribute("title", &exact.to_string())
        .raw(">")
        .text(&exact.strftime("%H:%M:%S").to_string())
        .raw("</time>");
}

fn second(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// As `kubectl` tells ages: the two greatest units that say something. What lies ahead, as clocks differ, is now.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, 1..=9) => format!("{minutes} min {} s", seconds % 60),
        (0, 0, _) => format!("{minutes} min"),
        (0, 1..=9, _) => format!("{hours} h {} min", minutes % 60),
        (0, ..) => format!("{hours} h"),
        (1..=9, ..) => format!("{days} d {} h", hours % 24),
        _ => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_units_that_matter() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (601, "10 min"),
            (3_661, "1 h 1 min"),
            (36_000, "10 h"),
            (90_000, "1 d 1 h"),
            (8_640_000, "100 d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_moment_that_cannot_be_read_is_shown_as_it_is() {
        let mut html = Html::default();
        ago(&mut html, "<soon>", 0);
        assert_eq!(html.into_string(), "<bdi>&lt;soon&gt;</bdi>");
    }
}
