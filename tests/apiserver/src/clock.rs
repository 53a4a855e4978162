//! Times at the edge: RFC 3339 text in and out, ages as kubectl prints them.

use jiff::Timestamp;

/// Now, to the second, as `metadata.creationTimestamp` has it.
pub(crate) fn now_seconds() -> String {
    Timestamp::from_second(Timestamp::now().as_second())
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// How long ago an RFC 3339 time was, in the words of kubectl; `<unknown>` if it cannot be read.
pub(crate) fn age(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => human(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// Seconds as `k8s.io/apimachinery/pkg/util/duration.HumanDuration` writes them.
pub(crate) fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let pair = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10800 => format!("{minutes}m"),
        10800..28800 => pair(hours, "h", minutes % 60, "m"),
        28800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn ages_are_those_of_kubectl() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10799, "179m"),
            (10800, "3h"),
            (10860, "3h1m"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (63_072_000, "2y"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(human(seconds), shown, "{seconds}");
        }
    }
}
