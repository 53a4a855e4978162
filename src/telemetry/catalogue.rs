//! What a registry holds, read back from its own text: so a list of metrics says what is served, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use prometheus_client::{encoding::text::encode, registry::Registry};

/// One metric, as whoever asks for it writes its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    /// With the suffix of a counter.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// One sentence.
    pub help: String,
    /// Each label, with the values that the samples have.
    pub labels: BTreeMap<String, BTreeSet<String>>,
}

impl Metric {
    /// Labels, with their values where there is more than one: a sample of an open set has one.
    #[must_use]
    pub fn labels_in_words(&self) -> String {
        let labels = self.labels.iter().map(|(label, values)| {
            if values.len() < 2 {
                return format!("`{label}`");
            }
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            format!("`{label}` (`{}`)", values.join("`, `"))
        });
        labels.collect::<Vec<_>>().join(", ")
    }
}

/// All metrics of a registry in the order in which it serves them. Those of a family without a sample are missing.
///
/// # Errors
/// When the registry cannot be encoded.
pub fn catalogue(registry: &Registry) -> Result<Vec<Metric>, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    let mut metrics: Vec<Metric> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = described(line, "# HELP ") {
            metrics.push(Metric {
                name: name.to_owned(),
                help: help.trim_end_matches('.').to_owned(),
                ..Metric::default()
            });
        } else if let Some(metric) = metrics.last_mut() {
            match described(line, "# TYPE ") {
                Some((_, kind)) => {
                    kind.clone_into(&mut metric.kind);
                    if kind == "counter" {
                        metric.name.push_str("_total");
                    }
                }
                None => take_labels(metric, line),
            }
        }
    }
    Ok(metrics)
}

fn described<'a>(line: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(what)?.split_once(' ')
}

/// The labels of one sample. Those of Herald hold neither quotes nor commas; a bucket's bound is none of them.
fn take_labels(metric: &mut Metric, line: &str) {
    let labels = line
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    for pair in labels.into_iter().flat_map(|(labels, _)| labels.split(',')) {
        if let Some((label, value)) = pair.split_once('=')
            && label != "le"
        {
            let values = metric.labels.entry(label.to_owned()).or_default();
            values.insert(value.trim_matches('"').to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::{
        counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
    };

    #[test]
    fn what_is_registered_is_read_back() {
        let mut registry = Registry::default();
        let calls = Family::<Vec<(&str, &str)>, Counter>::default();
        drop(calls.get_or_create(&vec![("code", "OK"), ("to", "a")]));
        drop(calls.get_or_create(&vec![("code", "OK"), ("to", "b")]));
        registry.register("calls", "Calls made", calls);
        registry.register("load", "Now", Gauge::<i64>::default());
        registry.register("wait_seconds", "Waits", Histogram::new([1.0]));
        let mut metrics = catalogue(&registry).unwrap().into_iter();
        let calls = metrics.next().unwrap();
        assert_eq!((&*calls.name, &*calls.kind), ("calls_total", "counter"));
        assert_eq!(calls.help, "Calls made");
        assert_eq!(calls.labels_in_words(), "`code`, `to` (`a`, `b`)");
        let load = metrics.next().unwrap();
        assert_eq!((&*load.name, &*load.kind), ("load", "gauge"));
        let wait = metrics.next().unwrap();
        assert_eq!((&*wait.name, &*wait.kind), ("wait_seconds", "histogram"));
        assert!(wait.labels.is_empty());
        assert_eq!(metrics.next(), None);
    }
}
