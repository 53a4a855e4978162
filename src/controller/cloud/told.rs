//! What a Service is told of its balancer. Pure.
//!
//! A trouble that AWS or time will end is no news while the balancer serves; one that somebody must end is. A Service
//! whose status shows a hostname and whose condition is False keeps what it has: what it asks for now is refused.

use herald_aws::{Outcome, Part, Publish, Reason as Word, Refusal, Remedy, Trouble, Wait};
use herald_spi::Port;

use super::round::Seen;
use crate::{
    api::{Reason, Verdict},
    world::ServiceRecord,
};

/// A deletion that fails so many turns in a row is told of, whatever the cause.
const PATIENCE: u32 = 3;

/// What becomes of the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The condition.
    pub(super) verdict: Verdict,
    /// The balancer.
    pub(super) shown: Shown,
}

/// What becomes of `status.loadBalancer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Another wrote it, and it stays.
    Leave,
    /// It shows nothing.
    Nothing,
    /// It shows a balancer.
    Balancer {
        /// Its hostname.
        hostname: String,
        /// The Service's ports, each with what is wrong with it.
        ports: Vec<(Port, Option<String>)>,
    },
}

/// The hostname that the status shows, if there is nothing but one.
pub(super) fn hostname(service: &ServiceRecord) -> Option<&str> {
    match service.ingress.as_slice() {
        [entry] => entry.hostname.as_deref(),
        _ => None,
    }
}

/// What to tell a Service that is served; `None`: what it was told stays. `refused`: what is wrong with its request by
/// what the provider does not know.
pub(super) fn serving(
    service: &ServiceRecord,
    seen: &Seen,
    outcome: &Outcome,
    refused: Option<&str>,
) -> Option<Told> {
    let plan = &seen.plan;
    let shown = match &plan.publish {
        Publish::Keep => seen.published.as_deref(),
        Publish::Clear => None,
        Publish::Show { hostname, .. } => Some(hostname.as_str()),
    };
    let lasting = lasting(&plan.troubles, outcome);
    let passing = outcome
        .troubles
        .first()
        .filter(|_| outcome.remedy.is_some());
    let verdict = match (refused, lasting.as_slice(), shown) {
        (Some(why), ..) => no(Reason::INVALID_REQUEST, why.to_owned(), shown),
        (None, [first, ..], _) => {
            let words: Vec<_> = lasting.iter().map(|trouble| sentence(trouble)).collect();
            no(word(first.refusal.reason), words.join("; "), shown)
        }
        (None, [], Some(_)) if passing.is_some() && service.provisioned.is_some() => return None,
        (None, [], Some(hostname)) => yes(service, seen, hostname),
        (None, [], None) => match (passing, plan.waits.first()) {
            (Some(trouble), _) => Verdict::no(word(trouble.refusal.reason), sentence(trouble)),
            (None, Some(wait)) => waiting(wait),
            (None, None) => Verdict::no(
                word(Word::Provisioning),
                "AWS is being asked for a balancer",
            ),
        },
    };
    let shown = match shown {
        Some(hostname) => Shown::Balancer {
            hostname: hostname.to_owned(),
            ports: ports(service, seen, &lasting),
        },
        // There is nothing, or what another controller wrote.
        None if plan.publish == Publish::Keep => Shown::Leave,
        None => Shown::Nothing,
    };
    Some(Told { verdict, shown })
}

/// What to tell a Service whose balancer goes; `None`: what it was told stays. `failures`: so many turns before have failed.
///
/// Somebody waits for the Service to go, so what keeps it is told at once where somebody must end it, and after a few
/// turns where that may pass by itself.
pub(super) fn going(
    came: &Result<(Seen, Outcome), herald_aws::Verdict>,
    failures: u32,
) -> Option<Verdict> {
    let is_news =
        |remedy, reason| !is_passing(remedy) || reason == Word::InUse || failures >= PATIENCE;
    let keeps = |refusal: &Refusal| {
        Verdict::no(
            word(refusal.reason),
            format!(
                "what AWS has for the Service cannot be deleted yet: {}",
                refusal.message
            ),
        )
    };
    let (seen, outcome) = match came {
        Ok((seen, _)) if seen.plan.gone => return None,
        Ok(came) => (&came.0, &came.1),
        Err(why) => return is_news(why.remedy, why.refusal.reason).then(|| keeps(&why.refusal)),
    };
    let lasting = lasting(&seen.plan.troubles, outcome);
    let passing = outcome.troubles.iter().find(|trouble| {
        let remedy = outcome.remedy.unwrap_or(Remedy::Done);
        is_news(remedy, trouble.refusal.reason)
    });
    let stands = lasting.first().copied().or(passing);
    let wait = seen.plan.waits.first().map(|wait| &wait.refusal.message);
    Some(match (stands, wait) {
        (Some(trouble), _) => keeps(&trouble.refusal),
        // It failed a moment ago, and soon it is tried again.
        (None, _) if !outcome.troubles.is_empty() && failures > 0 => return None,
        (None, wait) => Verdict::no(
            Reason::DEPROVISIONING,
            wait.map_or(
                "what AWS has for the Service is being deleted",
                String::as_str,
            ),
        ),
    })
}

/// Words beside what the status shows.
pub(super) fn as_it_is(service: &ServiceRecord, verdict: Verdict) -> Told {
    Told {
        verdict,
        shown: shown(service),
    }
}

/// What to tell a Service when AWS cannot even be read; `None`: what it was told stays.
pub(super) fn blind(service: &ServiceRecord, why: &herald_aws::Verdict) -> Option<Told> {
    let serves = hostname(service).is_some() && service.kept_by_aws;
    if serves && is_passing(why.remedy) {
        return None;
    }
    let shown = hostname(service).filter(|_| serves);
    Some(Told {
        verdict: no(word(why.refusal.reason), why.refusal.message.clone(), shown),
        shown: self::shown(service),
    })
}

/// What to tell a Service that is another controller's.
pub(super) fn foreign(evidence: &str) -> Told {
    Told {
        verdict: Verdict::no(Reason::FOREIGN_CONTROLLER, evidence),
        shown: Shown::Leave,
    }
}

/// Whether time or AWS ends it.
pub(super) fn is_passing(remedy: Remedy) -> bool {
    match remedy {
        Remedy::Done | Remedy::Wait(_) | Remedy::Look => true,
        Remedy::Blocked | Remedy::User => false,
    }
}

/// What the status shows, if that is Herald's.
fn shown(service: &ServiceRecord) -> Shown {
    match service.ingress.as_slice() {
        [entry] if service.kept_by_aws => match &entry.hostname {
            Some(hostname) => Shown::Balancer {
                hostname: hostname.clone(),
                ports: entry.ports.clone(),
            },
            None => Shown::Leave,
        },
        _ => Shown::Leave,
    }
}

fn yes(service: &ServiceRecord, seen: &Seen, hostname: &str) -> Verdict {
    let ports: Vec<_> = service.ports.iter().map(|p| p.port.to_string()).collect();
    let mut words = vec![format!("{hostname} serves {}", ports.join(", "))];
    words.extend(seen.warnings.iter().map(ToString::to_string));
    Verdict::yes(Reason::PROVISIONED, words.join("; "))
}

fn no(reason: Reason, why: String, shown: Option<&str>) -> Verdict {
    let message = match shown {
        Some(hostname) => format!("{why}; {hostname} serves on as it is"),
        None => why,
    };
    Verdict::no(reason, message)
}

fn waiting(wait: &Wait) -> Verdict {
    Verdict::no(word(wait.refusal.reason), wait.refusal.message.clone())
}

fn word(reason: Word) -> Reason {
    Reason::of(reason.as_str())
}

/// What somebody must end.
fn lasting<'a>(planned: &'a [Trouble], outcome: &'a Outcome) -> Vec<&'a Trouble> {
    let ends = outcome.remedy.is_none_or(is_passing);
    let lasts = |trouble: &&Trouble| {
        let passing = matches!(
            trouble.refusal.reason,
            Word::Throttled | Word::Stale | Word::InUse | Word::Unreachable | Word::Settling
        );
        !ends && !passing
    };
    let of_calls = outcome.troubles.iter().filter(lasts);
    planned.iter().chain(of_calls).collect()
}

fn sentence(trouble: &Trouble) -> String {
    match trouble.part {
        Part::Port(number) => format!("port {number}: {}", trouble.refusal.message),
        Part::Security | Part::Balancer | Part::Old => trouble.refusal.message.clone(),
    }
}

/// The Service's ports, each with what is wrong with it; none where nothing is wrong would say that all are served.
fn ports(
    service: &ServiceRecord,
    seen: &Seen,
    lasting: &[&Trouble],
) -> Vec<(Port, Option<String>)> {
    let wrong = |port: Port| {
        let of_port = |trouble: &&&Trouble| trouble.part == Part::Port(port.number);
        let planned = seen.refused.get(&port.number).map(|refusal| refusal.reason);
        let called = || {
            let trouble = lasting.iter().find(of_port)?;
            Some(trouble.refusal.reason)
        };
        let reason = planned.or_else(called)?;
        Some(format!("herald.dev/{}", reason.as_str()))
    };
    let ports = service.ports.iter();
    ports.map(|port| (port.port, wrong(port.port))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api,
        world::{ConditionRecord, IngressRecord, samples},
    };

    fn service() -> ServiceRecord {
        ServiceRecord {
            kept_by_aws: true,
            class: Some(api::CLASS_AWS_NLB.to_owned()),
            ..samples::service("web")
        }
    }

    fn served() -> ServiceRecord {
        ServiceRecord {
            ingress: vec![IngressRecord {
                ip: None,
                hostname: Some("a.example".to_owned()),
                ip_mode: None,
                ports: Vec::new(),
            }],
            provisioned: Some(Box::new(ConditionRecord {
                holds: true,
                reason: "Provisioned".to_owned(),
                message: String::new(),
                since: String::new(),
            })),
            ..service()
        }
    }

    fn trouble(part: Part, reason: Word) -> Trouble {
        Trouble {
            part,
            refusal: Refusal::new(reason, "because"),
        }
    }

    fn outcome(remedy: Remedy, troubles: Vec<Trouble>) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.remedy = Some(remedy);
        outcome.troubles = troubles;
        outcome
    }

    fn seen() -> Seen {
        Seen {
            published: Some("a.example".to_owned()),
            ..Seen::default()
        }
    }

    fn reason(told: Option<Told>) -> Option<(bool, String)> {
        told.map(|told| (told.verdict.holds, told.verdict.reason.to_string()))
    }

    #[test]
    fn what_passes_by_itself_is_no_news_while_the_balancer_serves() {
        let seen = seen();
        let throttled = outcome(
            Remedy::Wait(10),
            vec![trouble(Part::Balancer, Word::Throttled)],
        );
        assert_eq!(serving(&served(), &seen, &throttled, None), None);
        let new = reason(serving(&service(), &Seen::default(), &throttled, None));
        assert_eq!(new, Some((false, "Throttled".to_owned())));
        let denied = outcome(
            Remedy::User,
            vec![
                trouble(Part::Balancer, Word::Throttled),
                trouble(Part::Port(80), Word::NotPermitted),
            ],
        );
        let told = serving(&served(), &seen, &denied, None).unwrap();
        assert_eq!(
            told.verdict.message,
            "port 80: because; a.example serves on as it is"
        );
        let Shown::Balancer { ports, .. } = told.shown else {
            panic!("{:?}", told.shown)
        };
        assert_eq!(
            ports,
            [(
                "TCP/80".parse().unwrap(),
                Some("herald.dev/NotPermitted".to_owned())
            )]
        );
    }

    #[test]
    fn a_hostname_is_shown_when_the_plan_says_so_and_stays_when_it_says_nothing() {
        let mut seen = Seen::default();
        let nothing = Outcome::default();
        let told = serving(&service(), &seen, &nothing, None).unwrap();
        assert_eq!(
            (told.shown, told.verdict.reason.as_str()),
            (Shown::Leave, "Provisioning")
        );
        seen.plan.publish = Publish::Show {
            hostname: "b.example".to_owned(),
            ports: ["TCP/80".parse().unwrap()].into(),
        };
        let told = serving(&service(), &seen, &nothing, None).unwrap();
        assert!(matches!(told.shown, Shown::Balancer { hostname, .. } if hostname == "b.example"));
        assert_eq!(told.verdict.reason, Reason::PROVISIONED);
        let seen = self::seen();
        let told = serving(&served(), &seen, &nothing, None).unwrap();
        assert!(matches!(told.shown, Shown::Balancer { hostname, .. } if hostname == "a.example"));
        let refused = serving(&served(), &seen, &nothing, Some("no")).unwrap();
        assert_eq!(refused.verdict.reason, Reason::INVALID_REQUEST);
        assert!(matches!(refused.shown, Shown::Balancer { .. }));
    }

    #[test]
    fn an_adopted_service_shows_the_others_balancer_until_there_is_one_of_its_own() {
        let told = serving(&served(), &Seen::default(), &Outcome::default(), None).unwrap();
        assert_eq!(told.shown, Shown::Leave);
    }

    #[test]
    fn what_keeps_a_service_that_goes_is_told_with_its_reason() {
        let mut seen = Seen::default();
        let word = |came: &Result<(Seen, Outcome), herald_aws::Verdict>, failures| {
            going(came, failures).map(|verdict| verdict.reason.to_string())
        };
        let verdict = |remedy, reason| herald_aws::Verdict {
            remedy,
            refusal: Refusal::new(reason, "because"),
            stops_all: true,
        };
        let fails = |remedy, reason| {
            let trouble = trouble(Part::Balancer, reason);
            Ok((self::seen(), outcome(remedy, vec![trouble])))
        };
        for (came, failures, told) in [
            (
                Ok((self::seen(), Outcome::default())),
                0,
                Some("Deprovisioning"),
            ),
            (
                fails(Remedy::Blocked, Word::DeletionProtected),
                0,
                Some("DeletionProtected"),
            ),
            (
                fails(Remedy::User, Word::NotPermitted),
                0,
                Some("NotPermitted"),
            ),
            (fails(Remedy::Wait(30), Word::InUse), 0, Some("InUse")),
            (
                fails(Remedy::Wait(10), Word::Throttled),
                0,
                Some("Deprovisioning"),
            ),
            (fails(Remedy::Wait(10), Word::Throttled), 1, None),
            (
                fails(Remedy::Wait(10), Word::Throttled),
                3,
                Some("Throttled"),
            ),
            (
                Err(verdict(Remedy::User, Word::NotPermitted)),
                0,
                Some("NotPermitted"),
            ),
            (Err(verdict(Remedy::Look, Word::Unreachable)), 2, None),
            (
                Err(verdict(Remedy::Look, Word::Unreachable)),
                3,
                Some("Unreachable"),
            ),
        ] {
            assert_eq!(
                word(&came, failures).as_deref(),
                told,
                "{came:?} {failures}"
            );
        }
        seen.plan.gone = true;
        assert_eq!(word(&Ok((seen, Outcome::default())), 0), None);
    }

    #[test]
    fn blindness_is_told_where_it_lasts_or_nothing_serves() {
        let verdict = |remedy, reason| herald_aws::Verdict {
            remedy,
            refusal: Refusal::new(reason, "because"),
            stops_all: true,
        };
        let unheard = verdict(Remedy::Look, Word::Unreachable);
        assert_eq!(blind(&served(), &unheard), None);
        assert!(blind(&service(), &unheard).is_some());
        let expired = verdict(Remedy::User, Word::CredentialsInvalid);
        let told = blind(&served(), &expired);
        assert_eq!(reason(told), Some((false, "CredentialsInvalid".to_owned())));
    }
}
