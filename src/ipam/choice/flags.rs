//! What the Service keeps although its pools have changed.

use herald_spi::PoolName;

use super::{
    super::{Flag, FlagWhy, Granted, Place, stock::Stock},
    Choice,
};

impl Choice<'_> {
    /// The flags of what is granted; nothing that is newly given has one.
    pub(super) fn flags(&self, granted: &[Granted]) -> Vec<Flag> {
        let mut flags = Vec::new();
        for Granted { address, pool } in granted {
            let mut flag = |why| {
                flags.push(Flag {
                    address: *address,
                    why,
                });
            };
            match self.stocks.at(*address) {
                Some(stock) if pool.as_ref() == Some(&stock.pool.name) => {
                    if let Err(why) = stock.pool.admit_on_request(self.request) {
                        let pool = stock.pool.name.clone();
                        flag(FlagWhy::NotAllowed { pool, why });
                    }
                    if let Some(why) = self.over_quota(stock) {
                        flag(why);
                    }
                }
                elsewhere => {
                    let place = || match elsewhere {
                        Some(stock) => Place::Elsewhere(stock.pool.name.clone()),
                        None => self.stocks.place(*address),
                    };
                    if let Some(pool) = pool {
                        flag(self.astray(pool.clone(), place));
                    }
                }
            }
        }
        flags
    }

    /// Why an address that came from the pool is not in it.
    fn astray(&self, pool: PoolName, place: impl FnOnce() -> Place) -> FlagWhy {
        if self.stocks.named(&pool).is_some() {
            let place = place();
            return FlagWhy::OutsidePool { pool, place };
        }
        match self.fault(&pool) {
            Some(reason) => FlagWhy::PoolNotReady { pool, reason },
            None => FlagWhy::PoolGone { pool },
        }
    }

    fn over_quota(&self, stock: &Stock) -> Option<FlagWhy> {
        let (held, quota) = stock.quota(&self.request.service.namespace)?;
        (held > u64::from(quota)).then(|| FlagWhy::OverQuota {
            pool: stock.pool.name.clone(),
            held,
            quota,
        })
    }
}
