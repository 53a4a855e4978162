//! The order of a merged list: structured-merge-diff's, item by item.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fieldset::Step;
use super::typed::{BadItem, merged_item, shown, step_of};
use crate::schema::{ListKind, Node};

/// Keeps the order of `live` for what only it has, and that of `config` where both have an item.
pub(super) fn merge_lists(
    node: Node<'_>,
    kind: &ListKind<'_>,
    live: &[Value],
    config: &[Value],
) -> Result<Vec<Value>, BadItem> {
    let mut right: Vec<(Step, &Value)> = Vec::new();
    for item in config {
        let step = step_of(node, kind, item)?;
        if right.iter().any(|(seen, _)| *seen == step) {
            return Err(BadItem(format!(
                "duplicate entries for key {}",
                shown(&step)
            )));
        }
        right.push((step, item));
    }
    let mut left: Vec<(Step, &Value)> = Vec::new();
    for item in live {
        left.push((step_of(node, kind, item)?, item));
    }
    let of = |side: &[(Step, &Value)], step: &Step| side.iter().position(|(own, _)| own == step);
    let on_left = |step: &Step| {
        of(&left, step)
            .and_then(|at| left.get(at))
            .map(|(_, item)| *item)
    };
    let mut shared = right
        .iter()
        .map(|(step, _)| step)
        .filter(|step| of(&left, step).is_some());
    let mut next_shared = shared.next();
    let mut taken: BTreeSet<&Step> = BTreeSet::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    loop {
        let (a, b) = (left.get(l), right.get(r));
        match (a, b) {
            (None, None) => return Ok(out),
            // Shared, but the config has another one first.
            (Some((a, _)), Some((b, _)))
                if a != b
                    && of(&right, a).is_some()
                    && next_shared.is_some_and(|next| next != a) =>
            {
                l += 1;
                continue;
            }
            (Some((a, item)), _) if of(&right, a).is_none() => {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            _ => {}
        }
        let same = a.zip(b).is_some_and(|((a, _), (b, _))| a == b);
        if same || a.is_some_and(|(a, _)| taken.contains(a)) {
            l += 1;
        }
        if let Some((step, item)) = b {
            taken.insert(step);
            out.push(merged_item(node, on_left(step), item)?);
            r += 1;
            if same || next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
}
