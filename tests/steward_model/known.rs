//! What the model tolerates, and why.

use herald::world::ServiceRecord;

use crate::promises::Broken;

/// Bugs that are told and not yet repaired, each by its promise and a part of what is said of it. A history that runs
/// into one ends there, and is counted. Empty is best.
const BUGS: &[(&str, &str)] = &[];

/// A refusal goes on to say why it was refused, though by now it would be for another reason: Services are looked at
/// when something may help them, not when another word would do. The same goes for the numbers in a message.
pub const OLD_REASONS: bool = true;

pub fn is_bug(broken: &Broken) -> bool {
    let mut bugs = BUGS.iter();
    bugs.any(|(promise, part)| *promise == broken.promise && broken.what.contains(part))
}

/// How often others switched node ports on again is memory alone.
pub fn is_contested(record: Option<&ServiceRecord>) -> bool {
    let condition = record.and_then(|record| record.node_ports.as_ref());
    condition.is_some_and(|c| c.reason == "NodePortsContested")
}
