//! Selectors that the others write several of, where Herald has room for one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::draft::Draft;
use crate::api::{Advertisement, Layer2Advertisement};

/// How many ways to announce a pool can have.
const MOST: usize = 16;

/// The one selector of several of which any may match. Only the first can be said, which is narrower.
pub(super) fn only(
    draft: &mut Draft,
    object: &str,
    field: &str,
    selectors: Vec<LabelSelector>,
) -> Option<LabelSelector> {
    let mut selectors = selectors.into_iter();
    let first = selectors.next();
    let left = selectors.len();
    if left > 0 {
        draft.note(
            object,
            field,
            format!(
                "only the first of {} is taken over: a pool has one. Whoever the others let in is left out; label these alike",
                left + 1
            ),
        );
    }
    first
}

/// Each selector alone, or none.
pub(super) fn each(selectors: &[LabelSelector]) -> Vec<Option<LabelSelector>> {
    match selectors {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

/// The ways in which a pool is announced; nothing said means everywhere, as in a pool that says nothing.
pub(super) fn advertise(
    draft: &mut Draft,
    object: &str,
    mut ways: Vec<Layer2Advertisement>,
) -> Option<Vec<Advertisement>> {
    if ways.contains(&Layer2Advertisement::default()) {
        return None;
    }
    if ways.len() > MOST {
        let why = format!(
            "only {MOST} of {} ways to announce it are taken over",
            ways.len()
        );
        draft.note(object, "", why);
        ways.truncate(MOST);
    }
    let ways = ways.into_iter().map(|layer2| Advertisement {
        layer2: Some(layer2),
    });
    let ways: Vec<_> = ways.collect();
    (!ways.is_empty()).then_some(ways)
}
