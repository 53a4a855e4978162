//! The decision, told step by step.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    super::{
        Considered, Considering, Counts, Explanation, Family, Grant, PerFamily, Pool, Refusal, Why,
        moment::Moment, stock::Stock,
    },
    Choice,
};

impl Choice<'_> {
    /// The answer and how it came about.
    pub(in crate::ipam) fn explain(&self) -> Explanation {
        let answer = self.make();
        Explanation {
            considered: self.considered(&answer),
            notes: self.notes(&answer),
            waits: self.waits(&answer),
            answer,
        }
    }

    fn considered(&self, answer: &Result<Grant, Refusal>) -> Vec<Considered> {
        let request = self.request;
        let named = request
            .pools
            .iter()
            .filter_map(|name| self.stocks.named(name));
        let others = self
            .stocks
            .ready()
            .filter(|stock| !request.pools.contains(&stock.pool.name));
        let stocks: Vec<&Stock> = named.chain(others).collect();
        let last_chosen = stocks
            .iter()
            .rposition(|stock| !chosen(answer, stock).is_empty());
        let ready = stocks.iter().enumerate().map(|(at, stock)| Considered {
            counts: stock.counts(),
            quota: stock.quota(&request.service.namespace),
            ..considered(
                &stock.pool,
                self.verdict(stock, answer, Some(at) < last_chosen),
            )
        });
        let unready = self
            .stocks
            .unready()
            .map(|(pool, reason)| considered(pool, Considering::Passed(Why::NotReady(reason))));
        let unknown = |pool: &herald_spi::PoolName, why| Considered {
            pool: pool.clone(),
            priority: 0,
            automatic: false,
            counts: Counts::default(),
            quota: None,
            verdict: Considering::Passed(why),
        };
        let unfit = self
            .unfit
            .iter()
            .map(|(pool, reason)| unknown(pool, Why::NotReady(reason)));
        let absent = request
            .pools
            .iter()
            .filter(|pool| self.stocks.named(pool).is_none() && self.fault(pool).is_none())
            .map(|pool| unknown(pool, Why::NotFound));
        ready.chain(unready).chain(unfit).chain(absent).collect()
    }

    fn verdict(
        &self,
        stock: &Stock,
        answer: &Result<Grant, Refusal>,
        is_before_the_last: bool,
    ) -> Considering {
        let addresses = chosen(answer, stock);
        if !addresses.is_empty() {
            return Considering::Chosen(addresses);
        }
        if self.request.passes_by(&stock.pool.name) {
            return Considering::Passed(Why::NotNamed);
        }
        if let Err(why) = self.admits(stock) {
            return Considering::Passed(why);
        }
        let sought: Vec<Family> = match answer {
            // Those that came from a pool behind this one, and those that came from none.
            Ok(grant) => {
                let free = |address: &IpAddr| self.ledger.get(*address).is_none();
                let taken = grant.taken.iter().copied().filter(free).map(Family::of);
                let had: Vec<_> = grant
                    .addresses
                    .iter()
                    .map(|g| Family::of(g.address))
                    .collect();
                let wanted = self.request.families.wanted();
                let missing = wanted.filter(|family| !had.contains(family));
                taken
                    .filter(|_| is_before_the_last)
                    .chain(missing)
                    .collect()
            }
            Err(_) => match self.parts() {
                Ok(parts) => self.missing(&parts),
                Err(_) => Vec::new(),
            },
        };
        let lack = |family| sought.contains(&family).then(|| stock.lack(family));
        if !sought.iter().all(|family| stock.has_free(*family)) {
            return Considering::Passed(Why::Lacks(PerFamily {
                v4: lack(Family::V4),
                v6: lack(Family::V6),
            }));
        }
        match stock.quota(&self.request.service.namespace) {
            Some((held, quota)) if held + sought.len() as u64 > u64::from(quota) => {
                Considering::Passed(Why::QuotaExceeded { held, quota })
            }
            _ => Considering::NotNeeded,
        }
    }

    fn notes(&self, answer: &Result<Grant, Refusal>) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.request.pools.is_empty() {
            let names: Vec<_> = self
                .request
                .pools
                .iter()
                .map(|pool| pool.as_str())
                .collect();
            notes.push(format!("asks for pool {}", names.join(", then ")));
        }
        for address in &self.request.addresses {
            notes.push(match self.stocks.at(*address) {
                Some(stock) => format!("asks for {address}, which is in pool {}", stock.pool.name),
                None => format!("asks for {address}, which is in no Ready pool"),
            });
        }
        for address in self.held {
            let is_surplus = answer
                .as_ref()
                .is_ok_and(|grant| grant.surplus.contains(address));
            notes.push(if is_surplus {
                format!("has {address} and gives it up for what it asks for now")
            } else {
                format!("has {address} already and keeps it")
            });
        }
        for address in self.reservations.awaiting(&self.request.service) {
            if let Some(kept) = self.reservations.get(address) {
                notes.push(format!(
                    "{address} is kept for it until {}",
                    Moment(kept.until)
                ));
            }
        }
        if let Ok(grant) = answer {
            for granted in &grant.addresses {
                notes.extend(self.sharing_note(granted.address));
            }
            notes.extend(grant.flags.iter().map(ToString::to_string));
        }
        notes
    }

    fn sharing_note(&self, address: IpAddr) -> Option<String> {
        /// How many Services a sentence names.
        const SHOWN: usize = 8;
        let others = self.ledger.get(address)?.others(&self.request.uid);
        let names: BTreeSet<_> = others.map(|share| &share.holder.service).collect();
        let shown: Vec<_> = names.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!shown.is_empty())
            .then(|| format!("shares {address} with {}{more} by key", shown.join(", ")))
    }
}

/// What is granted from the pool.
fn chosen(answer: &Result<Grant, Refusal>, stock: &Stock) -> Vec<IpAddr> {
    let granted = answer.iter().flat_map(|grant| &grant.addresses);
    granted
        .filter(|granted| granted.pool.as_ref() == Some(&stock.pool.name))
        .map(|granted| granted.address)
        .collect()
}

fn considered(pool: &Pool, verdict: Considering) -> Considered {
    Considered {
        pool: pool.name.clone(),
        priority: pool.priority,
        automatic: pool.automatic,
        counts: Counts::default(),
        quota: None,
        verdict,
    }
}
