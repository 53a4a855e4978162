//! The explanation for people: one section after the other, empty ones left out.

use super::model::{Address, Counts, KeptBack, Model, Pool, Requested, Said, Verdict};
use crate::{
    api,
    cli::{
        aws::Target,
        output::{Answer, Cell, Look, Table, Tone, listed, one_line, plain},
    },
};

/// How many addresses that are kept back, and how many Events, are shown unless everything is asked for.
const KEPT_SHOWN: usize = 10;
const EVENTS_SHOWN: usize = 5;

impl Answer for Model {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        Page {
            look,
            text: String::new(),
        }
        .write(self)
    }
}

struct Page<'a> {
    look: &'a Look,
    text: String,
}

impl Page<'_> {
    fn write(mut self, model: &Model) -> String {
        let title = format!("Service {}/{}: ", model.namespace, model.name);
        self.text += &self.look.paint(&title, Tone::Strong);
        let state = if model.state.is_empty() {
            "Pending"
        } else {
            &model.state
        };
        self.text += &self.look.paint(&one_line(state), Tone::of(model.well));
        self.text += "\n";
        self.asks(model);
        self.lines("Whose it is", [model.ownership.message.as_str()]);
        self.lines("What is wrong with the request", &model.invalid);
        self.pools(&model.pools);
        self.requested(&model.requested);
        self.kept_back(&model.kept_back);
        let notes = model.notes.iter().map(|note| format!("the Service {note}"));
        self.lines("What decided", notes);
        self.verdicts(&model.verdicts);
        self.lines("Wakes when", &model.wakes_when);
        let has_something = model.verdicts.iter().any(has_addresses);
        let title = match has_something {
            true => "What would give it what it lacks",
            false => "What would make it work",
        };
        self.lines(title, &model.advice);
        self.addresses(&model.addresses);
        self.targets(model);
        self.events(model);
        self.text
    }

    /// A section of lines; without any there is no section.
    fn lines<T: AsRef<str>>(&mut self, title: &str, lines: impl IntoIterator<Item = T>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        self.title(title);
        for line in lines {
            self.text += &format!("  {}\n", one_line(line.as_ref()));
        }
    }

    fn title(&mut self, title: &str) {
        self.text += &format!("\n{}\n", self.look.paint(title, Tone::Strong));
    }

    fn table(&mut self, header: &[&'static str], rows: Vec<Vec<Cell>>) {
        let mut table = Table::new(header).indented(2);
        for row in rows {
            table.row(row);
        }
        self.text += &table.text(&self.look.uncut());
    }

    fn asks(&mut self, model: &Model) {
        self.title("What it asks for");
        let asks = model.asks.iter();
        let rows = asks.map(|ask| vec![plain(ask.what), plain(&ask.value), plain(&ask.from)]);
        self.table(&[], rows.collect());
    }

    fn pools(&mut self, pools: &[Pool]) {
        if pools.is_empty() {
            return;
        }
        self.title("Pools, in the order in which they are tried");
        let rows = pools.iter().map(|pool| {
            let quota = pool.quota.as_ref();
            vec![
                plain(&pool.name),
                plain(pool.priority.to_string()),
                plain(if pool.automatic { "yes" } else { "no" }),
                plain(free(pool.ipv4.as_ref())),
                plain(free(pool.ipv6.as_ref())),
                plain(
                    quota
                        .map(|q| format!("{} of {}", q.held, q.limit))
                        .unwrap_or_default(),
                ),
                verdict(pool),
            ]
        });
        let header = [
            "POOL",
            "PRIORITY",
            "AUTOMATIC",
            "IPV4 FREE",
            "IPV6 FREE",
            "QUOTA USED",
            "VERDICT",
        ];
        self.table(&header, rows.collect());
    }

    fn requested(&mut self, requested: &[Requested]) {
        if requested.is_empty() {
            return;
        }
        self.title("Addresses that it asks for");
        let rows = requested.iter().map(|requested| {
            vec![
                plain(&requested.address),
                plain(match &requested.pool {
                    Some(pool) => format!("pool {pool}"),
                    None => "in no pool that is Ready".to_owned(),
                }),
                plain(held(requested)),
            ]
        });
        self.table(&[], rows.collect());
    }

    fn kept_back(&mut self, kept: &[KeptBack]) {
        if kept.is_empty() {
            return;
        }
        self.title("Addresses that are kept back");
        let shown = if self.look.wide {
            kept.len()
        } else {
            KEPT_SHOWN
        };
        let rows = kept.iter().take(shown).map(|kept| {
            let pool = kept.pool.as_ref().map(|pool| format!("pool {pool}"));
            vec![
                plain(&kept.address),
                plain(pool.unwrap_or_default()),
                plain(kept_for(kept)),
            ]
        });
        self.table(&[], rows.collect());
        if kept.len() > shown {
            self.text += &format!("  and {} more (-o wide)\n", kept.len() - shown);
        }
    }

    fn verdicts(&mut self, verdicts: &[Verdict]) {
        self.title("The verdict");
        for verdict in verdicts {
            let type_ = &verdict.type_;
            match &verdict.written {
                Some(said) => self.said(type_, said),
                None => {
                    self.text += &format!(
                        "  {type_}: nothing is written yet: no controller has decided; is one running?\n"
                    );
                }
            }
            if let Some(now) = &verdict.now {
                self.text += "  Decided now it would be:\n";
                self.said(type_, now);
            }
        }
    }

    fn said(&mut self, type_: &str, said: &Said) {
        let status = if said.status { "True" } else { "False" };
        let word = self
            .look
            .paint(&one_line(&said.reason), Tone::of(said.status));
        let since = said.since.as_ref().map(|since| format!(", since {since}"));
        self.text += &format!("  {type_}: {status}, {word}{}\n", since.unwrap_or_default());
        self.text += &format!("    {}\n", one_line(&said.message));
    }

    fn addresses(&mut self, addresses: &[Address]) {
        if addresses.is_empty() {
            return;
        }
        self.title("Its addresses, and who announces them");
        let rows = addresses.iter().flat_map(|address| {
            let state = |state: &str| Cell::new(state, Tone::of(address.well));
            if address.announcements.is_empty() {
                let blank = || plain("");
                return vec![vec![
                    plain(&address.address),
                    blank(),
                    blank(),
                    blank(),
                    state(&address.state),
                    plain(&address.message),
                ]];
            }
            let of_node = address.announcements.iter().map(|announcement| {
                let mac = announcement.conflicting_mac.as_ref();
                let mac = mac.map(|mac| format!("also claimed by {mac}"));
                let message = announcement.message.clone().or(mac);
                vec![
                    plain(&address.address),
                    plain(&announcement.node),
                    plain(&announcement.interface),
                    plain(&announcement.since),
                    Cell::new(
                        &announcement.state,
                        Tone::of(announcement.state == "Announcing"),
                    ),
                    plain(message.unwrap_or_default()),
                ]
            });
            of_node.collect()
        });
        let header = ["ADDRESS", "NODE", "INTERFACE", "SINCE", "STATE", "MESSAGE"];
        self.table(&header, rows.collect());
    }

    fn targets(&mut self, model: &Model) {
        let Some(targets) = &model.targets else {
            let mut verdicts = model.verdicts.iter();
            let is_clouds = verdicts.any(|verdict| verdict.type_ == api::CONDITION_PROVISIONED);
            let ask =
                "with --aws-cluster-name NAME, as the controller has it, AWS is asked how they are";
            return self.lines("Its targets in AWS", is_clouds.then_some(ask));
        };
        if targets.is_empty() {
            return self.lines("Its targets in AWS", ["none"]);
        }
        self.title("Its targets in AWS");
        let row = |target: &Target| {
            let port = target.port.map(|port| port.to_string());
            vec![
                plain(port.unwrap_or_default()),
                plain(&target.target),
                Cell::new(target.health, Tone::of(target.well)),
                plain(target.balancer.clone().unwrap_or_default()),
            ]
        };
        let rows = targets.iter().map(row).collect();
        self.table(&["PORT", "TARGET", "HEALTH", "BALANCER"], rows);
    }

    fn events(&mut self, model: &Model) {
        let events = &model.events;
        if events.is_empty() {
            return;
        }
        self.title("Its latest Events by Herald");
        let shown = if self.look.wide {
            events.len()
        } else {
            EVENTS_SHOWN
        };
        let rows = events
            .iter()
            .skip(events.len().saturating_sub(shown))
            .map(|event| {
                vec![
                    plain(&event.when),
                    plain(&event.type_),
                    plain(&event.reason),
                    plain(&event.message),
                ]
            });
        self.table(&[], rows.collect());
    }
}

fn free(counts: Option<&Counts>) -> String {
    match counts {
        None => String::new(),
        Some(counts) => {
            let others = [
                (&counts.reserved, "kept back"),
                (&counts.quarantined, "in quarantine"),
            ];
            let others = others.into_iter().filter(|(number, _)| *number != "0");
            let mut words = vec![format!("{} of {}", counts.free, counts.capacity)];
            words.extend(others.map(|(number, what)| format!("{number} {what}")));
            words.join(", ")
        }
    }
}

/// Whether the verdict is that it has some address.
fn has_addresses(verdict: &Verdict) -> bool {
    let said = verdict.now.as_ref().or(verdict.written.as_ref());
    verdict.type_ == api::CONDITION_ALLOCATED && said.is_some_and(|said| said.status)
}

fn verdict(pool: &Pool) -> Cell {
    match pool.verdict {
        "Chosen" => Cell::new(format!("chosen: {}", pool.detail), Tone::Good),
        "NotNeeded" => plain("not needed"),
        _ => plain(format!("passed over: {}", pool.detail)),
    }
}

fn held(requested: &Requested) -> String {
    if let Some(kept) = &requested.kept_back {
        return kept_for(kept);
    }
    let holders = requested.holders.iter().map(|holder| {
        let ports = match holder.ports.as_slice() {
            [] => String::new(),
            ports => format!(" ({})", listed(ports)),
        };
        match holder.itself {
            true => format!("this Service{ports}"),
            false => format!("Service {}{ports}", holder.service),
        }
    });
    let holders: Vec<_> = holders.collect();
    match holders.as_slice() {
        [] => "held by nobody".to_owned(),
        holders => format!("held by {}", holders.join(" and ")),
    }
}

fn kept_for(kept: &KeptBack) -> String {
    match &kept.awaits {
        Some(service) => format!("kept for Service {service} until {}", kept.until),
        None => format!(
            "in quarantine until {}: the host {}, which is none of Herald's, was found to use it",
            kept.until,
            kept.used_by.as_deref().unwrap_or("unknown")
        ),
    }
}
