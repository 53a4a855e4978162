//! Which pools somebody has asked to rebalance: a new value of their annotation is a request. Pure.
//!
//! What an agent finds when it starts is none: it may be a week old, or be done already, and a node that returns must
//! take nothing back. So no clock but the agent's own counts, whatever time the value tells.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::{PoolName, Time};

/// After so long a request has ended, whatever is left of it.
const ENDS_AFTER: Duration = Duration::from_secs(600);

/// The pools, what they said last, and the requests that go on.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<PoolName, Asked>);

#[derive(Debug)]
struct Asked {
    said: Option<String>,
    since: Option<Time>,
}

impl Requests {
    /// Takes in what all pools say now. Which of them are asked for anew.
    pub(super) fn notice<'a>(
        &mut self,
        now: Time,
        pools: impl Iterator<Item = (&'a PoolName, Option<&'a str>)>,
    ) -> Vec<PoolName> {
        let mut before = std::mem::take(&mut self.0);
        let mut anew = Vec::new();
        for (name, said) in pools {
            let since = match before.remove(name) {
                None => None,
                Some(asked) if asked.said.as_deref() == said => asked.since,
                Some(_) if said.is_some() => {
                    anew.push(name.clone());
                    Some(now)
                }
                Some(_) => None,
            };
            let asked = Asked {
                said: said.map(str::to_owned),
                since: since.filter(|since| now.since(*since) < ENDS_AFTER),
            };
            self.0.insert(name.clone(), asked);
        }
        anew
    }

    /// Whether somebody asked for this pool, and that is not done.
    pub(super) fn go_on(&self, pool: &PoolName) -> bool {
        self.0.get(pool).is_some_and(|asked| asked.since.is_some())
    }

    /// Everything that was asked for is done. Whether anything was.
    pub(super) fn end(&mut self) -> bool {
        let mut ended = false;
        for asked in self.0.values_mut() {
            ended |= asked.since.take().is_some();
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn say(requests: &mut Requests, seconds: u64, said: Option<&str>) -> bool {
        let lan = PoolName::from("lan");
        requests.notice(at(seconds), [(&lan, said)].into_iter());
        requests.go_on(&lan)
    }

    #[test]
    fn only_a_value_that_changes_is_a_request() {
        let mut requests = Requests::default();
        assert!(!say(&mut requests, 1, Some("monday")), "found at the start");
        assert!(!say(&mut requests, 2, Some("monday")));
        assert!(say(&mut requests, 3, Some("tuesday")));
        assert!(say(&mut requests, 4, Some("tuesday")));
        assert!(!say(&mut requests, 5, None), "taken back");
        assert!(say(&mut requests, 6, Some("tuesday")));
        // A pool that is deleted and made again with what it said is none either.
        requests.notice(at(7), std::iter::empty());
        assert!(!say(&mut requests, 8, Some("tuesday")));
    }

    #[test]
    fn a_request_ends_when_it_is_done_or_after_ten_minutes() {
        let mut requests = Requests::default();
        say(&mut requests, 0, None);
        assert!(say(&mut requests, 10, Some("a")));
        assert!(requests.end());
        assert!(!requests.end());
        assert!(!say(&mut requests, 11, Some("a")));
        assert!(say(&mut requests, 20, Some("b")));
        assert!(say(&mut requests, 619, Some("b")));
        assert!(!say(&mut requests, 620, Some("b")));
    }
}
