use proptest::{collection::vec, prelude::*};

use super::*;

fn node(n: u8) -> NodeName {
    NodeName::new(format!("node-{n}"))
}

fn address(n: usize) -> IpAddr {
    IpAddr::from(u32::try_from(0x0a00_0000 + n).unwrap().to_be_bytes())
}

fn set(nodes: impl IntoIterator<Item = (u8, u32)>) -> CandidateSet {
    CandidateSet(
        nodes
            .into_iter()
            .map(|(n, weight)| (node(n), weight))
            .collect(),
    )
}

/// The seats of addresses 0, 1, ... with these candidates and holders.
fn seats<'a>(rows: &'a [(CandidateSet, Option<NodeName>)]) -> Vec<Seat<'a>> {
    let rows = rows.iter().enumerate();
    rows.map(|(n, (candidates, holder))| Seat {
        address: address(n),
        candidates,
        holder: holder.as_ref(),
    })
    .collect()
}

fn loads(rows: &[(CandidateSet, Option<NodeName>)]) -> BTreeMap<NodeName, usize> {
    let mut loads = BTreeMap::new();
    let plan = plan(&seats(rows));
    for (n, (_, holder)) in rows.iter().enumerate() {
        if let Some(owner) = plan.get(&address(n)).copied().or(holder.as_ref()) {
            *loads.entry(owner.clone()).or_insert(0) += 1;
        }
    }
    loads
}

#[test]
fn a_live_candidate_keeps_its_seat_however_uneven() {
    let three = set([(1, 0), (2, 0), (3, 9)]);
    let rows: Vec<_> = (0..5).map(|_| (three.clone(), Some(node(1)))).collect();
    assert_eq!(plan(&seats(&rows)), BTreeMap::new());
}

#[test]
fn the_fewest_addresses_come_first_then_the_hash() {
    let three = set([(1, 0), (2, 0), (3, 0)]);
    let mut rows = vec![
        (three.clone(), Some(node(1))),
        (three.clone(), Some(node(1))),
    ];
    rows.extend((0..4).map(|_| (three.clone(), None)));
    let loads = loads(&rows);
    assert_eq!(loads.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    let lone = [(three.clone(), None)];
    let best = [1, 2, 3]
        .map(node)
        .into_iter()
        .max_by_key(|n| rendezvous::score(address(0), n))
        .unwrap();
    assert_eq!(plan(&seats(&lone)), BTreeMap::from([(address(0), &best)]));
}

#[test]
fn preference_comes_before_evenness() {
    let rows: Vec<_> = (0..6)
        .map(|_| (set([(1, 0), (2, 50), (3, 50)]), None))
        .collect();
    assert_eq!(loads(&rows), BTreeMap::from([(node(2), 3), (node(3), 3)]));
}

#[test]
fn an_owner_that_is_no_candidate_is_replaced_if_there_is_any_other() {
    let rows = [
        (set([(1, 0), (2, 0)]), Some(node(3))),
        (set([]), Some(node(1))),
        (set([]), None),
    ];
    assert_eq!(
        plan(&seats(&rows)),
        BTreeMap::from([(address(0), &node(2))])
    );
}

#[test]
fn ranks_are_a_permutation_with_the_chosen_one_first() {
    let candidates = set((1..=9).map(|n| (n, 0)));
    let chosen = node(4);
    let mut ranks: Vec<_> = (1..=9)
        .map(|n| rank(address(0), &candidates, Some(&chosen), &node(n)).unwrap())
        .collect();
    assert_eq!(ranks[3], 0);
    ranks.sort_unstable();
    assert_eq!(ranks, (0..9).collect::<Vec<_>>());
    assert_eq!(
        rank(address(0), &candidates, Some(&chosen), &node(10)),
        None
    );
}

fn uniform() -> impl Strategy<Value = (u8, usize)> {
    (1..12_u8, 0..60_usize)
}

proptest! {
    #[test]
    fn even_within_one_where_all_are_candidates((nodes, addresses) in uniform()) {
        let all = set((0..nodes).map(|n| (n, 0)));
        let rows: Vec<_> = (0..addresses).map(|_| (all.clone(), None)).collect();
        let loads = loads(&rows);
        let most = loads.values().max().copied().unwrap_or(0);
        let least = (0..nodes).map(|n| loads.get(&node(n)).copied().unwrap_or(0)).min().unwrap_or(0);
        prop_assert!(most - least <= 1, "{loads:?}");
        prop_assert_eq!(loads.values().sum::<usize>(), addresses);
    }

    /// Some nodes have claimed all that was planned for them, or the first so many: the others' plans stay.
    #[test]
    fn a_plan_that_comes_true_node_by_node_stays(
        masks in vec((1..64_u8, proptest::option::of(0..6_u8)), 1..40),
        claimed in vec(0..40_usize, 6),
    ) {
        let rows: Vec<_> = masks.iter().map(|(mask, holder)| {
            (set((0..6).filter(|n| mask >> n & 1 == 1).map(|n| (n, 0))), holder.map(node))
        }).collect();
        let seats_before = seats(&rows);
        let before: BTreeMap<_, _> = plan(&seats_before).into_iter().map(|(a, n)| (a, n.clone())).collect();
        let mut left = claimed;
        let mut later = rows.clone();
        for (n, row) in later.iter_mut().enumerate() {
            let Some(owner) = before.get(&address(n)) else { continue };
            let left = &mut left[(0..6).position(|n| node(n) == *owner).unwrap()];
            if *left > 0 {
                *left -= 1;
                row.1 = Some(owner.clone());
            }
        }
        for (address, owner) in plan(&seats(&later)) {
            prop_assert_eq!(Some(owner), before.get(&address));
        }
    }
}
