use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// Addresses with their candidates and holders; the last octet is the index.
#[derive(Clone, Debug)]
struct Board {
    seats: Vec<(Arc<CandidateSet>, Option<NodeName>)>,
    scope: Scope,
    unsteady: BTreeSet<NodeName>,
}

fn name(n: usize) -> NodeName {
    NodeName::new(format!("node-{n}"))
}

fn address(n: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()])
}

fn set(weights: &[u32]) -> Arc<CandidateSet> {
    let nodes = weights.iter().enumerate();
    Arc::new(CandidateSet(nodes.map(|(n, w)| (name(n), *w)).collect()))
}

impl Board {
    /// All addresses asked for, all nodes steady, all candidates alike: who holds each.
    fn even_handed(nodes: usize, holders: &[usize]) -> Self {
        let candidates = set(&vec![0; nodes]);
        Self {
            seats: holders
                .iter()
                .map(|holder| (Arc::clone(&candidates), Some(name(*holder))))
                .collect(),
            scope: (0..holders.len())
                .map(|n| (address(n), Pace::Asked))
                .collect(),
            unsteady: BTreeSet::new(),
        }
    }

    fn next(&self) -> Option<Move> {
        let seats: Vec<_> = self
            .seats
            .iter()
            .enumerate()
            .map(|(n, (candidates, holder))| Seat {
                address: address(n),
                candidates,
                holder: holder.as_ref(),
            })
            .collect();
        let all = self.seats.iter().flat_map(|(set, _)| set.0.keys());
        let steady = all.filter(|node| !self.unsteady.contains(*node)).collect();
        next_move(&seats, &self.scope, &steady)
    }

    fn apply(&mut self, next: &Move) {
        let n = (0..self.seats.len())
            .find(|n| address(*n) == next.address)
            .unwrap();
        assert_eq!(self.seats[n].1.as_ref(), Some(&next.from));
        self.seats[n].1 = Some(next.to.clone());
    }

    /// Makes all moves; fails if they do not end.
    fn settle(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        while let Some(next) = self.next() {
            assert!(moves.len() <= 4 * self.seats.len(), "no end: {moves:?}");
            self.apply(&next);
            moves.push(next);
        }
        moves
    }

    fn loads(&self, nodes: usize) -> Vec<usize> {
        let load = |n| {
            let holders = self.seats.iter().filter_map(|(_, holder)| holder.as_ref());
            holders.filter(|holder| **holder == name(n)).count()
        };
        (0..nodes).map(load).collect()
    }
}

fn boards() -> impl Strategy<Value = Board> {
    let sets = prop::collection::vec(prop::collection::vec(prop::option::of(0_u32..3), 5), 1..4);
    let seats = prop::collection::vec((0_usize..4, prop::option::weighted(0.9, 0_usize..5)), 0..40);
    let paces = prop::collection::vec(
        prop::option::weighted(0.8, prop::sample::select(vec![Pace::Slow, Pace::Asked])),
        40,
    );
    let unsteady = prop::collection::btree_set((0_usize..5).prop_map(name), 0..3);
    (sets, seats, paces, unsteady).prop_map(|(sets, seats, paces, unsteady)| {
        let sets: Vec<_> = sets
            .into_iter()
            .map(|weights| {
                let nodes = weights.into_iter().enumerate();
                let nodes = nodes.filter_map(|(n, weight)| Some((name(n), weight?)));
                Arc::new(CandidateSet(nodes.collect()))
            })
            .collect();
        let scope = paces.into_iter().enumerate();
        Board {
            scope: scope.filter_map(|(n, p)| Some((address(n), p?))).collect(),
            seats: seats
                .into_iter()
                .map(|(s, holder)| (Arc::clone(&sets[s % sets.len()]), holder.map(name)))
                .collect(),
            unsteady,
        }
    })
}

proptest! {
    /// Whatever the candidates: it ends; only what may move does, between steady candidates, to the most preferred;
    /// at rest none of them could be better placed.
    #[test]
    fn moves_end_and_each_is_allowed(mut board in boards()) {
        let before = board.clone();
        let moves = board.settle();
        for next in &moves {
            let n = (0..before.seats.len()).find(|n| address(*n) == next.address).unwrap();
            let (candidates, _) = &before.seats[n];
            prop_assert_eq!(before.scope.get(&next.address), Some(&next.pace));
            prop_assert!(!before.unsteady.contains(&next.from) && !before.unsteady.contains(&next.to));
            prop_assert!(candidates.contains(&next.from));
            prop_assert_eq!(candidates.0.get(&next.to), candidates.0.values().max());
        }
        let loads = board.loads(5);
        let load = |node: &NodeName| loads[(0..5).find(|n| name(*n) == *node).unwrap()];
        for (n, (candidates, holder)) in board.seats.iter().enumerate() {
            let Some(holder) = holder.as_ref().filter(|holder| {
                board.scope.contains_key(&address(n)) && candidates.contains(holder) && !board.unsteady.contains(*holder)
            }) else { continue };
            let most = candidates.0.values().max().unwrap();
            let better = candidates.0.iter().filter(|(node, weight)| *weight == most && !board.unsteady.contains(*node));
            for (node, _) in better {
                prop_assert!(candidates.0[holder] == *most, "{:?} stayed with {}", address(n), holder);
                prop_assert!(load(holder) <= load(node) + 1, "{:?}", loads);
            }
        }
    }

    /// Equal candidates: even within one, with no move more than it takes.
    #[test]
    fn equal_candidates_end_even_with_the_fewest_moves(
        nodes in 1_usize..6,
        holders in prop::collection::vec(0_usize..6, 0..60),
    ) {
        let holders: Vec<_> = holders.into_iter().map(|holder| holder % nodes).collect();
        let mut board = Board::even_handed(nodes, &holders);
        let before = board.loads(nodes);
        let moves = board.settle();
        let after = board.loads(nodes);
        prop_assert!(after.iter().max().unwrap() - after.iter().min().unwrap() <= 1, "{:?}", after);
        let (least, most) = (holders.len() / nodes, holders.len().div_ceil(nodes));
        let excess: usize = before.iter().map(|load| load.saturating_sub(most)).sum();
        let lack: usize = before.iter().map(|load| least.saturating_sub(*load)).sum();
        prop_assert_eq!(moves.len(), excess.max(lack), "{:?} became {:?}", before, after);
    }
}

#[test]
fn a_node_that_returned_gets_its_share_from_those_that_have_most() {
    let mut board = Board::even_handed(3, &[0, 0, 0, 0, 1, 1, 1]);
    let first = board.next().unwrap();
    assert_eq!((first.from.clone(), first.to), (name(0), name(2)));
    assert_eq!(board.settle().len(), 2);
    assert_eq!(board.loads(3), [2, 3, 2]);
}

#[test]
fn preferred_nodes_come_before_evenness_and_are_even_among_themselves() {
    let mut board = Board::even_handed(3, &[0, 0, 0, 0, 1]);
    let preferring = set(&[0, 5, 5]);
    for (candidates, _) in &mut board.seats {
        *candidates = Arc::clone(&preferring);
    }
    assert_eq!(board.settle().len(), 4);
    assert_eq!(board.loads(3).iter().sum::<usize>(), 5);
    assert_eq!(board.loads(3)[0], 0);
    assert!(board.loads(3)[1].abs_diff(board.loads(3)[2]) == 1);
}

#[test]
fn what_was_asked_for_comes_first_and_what_was_not_stays() {
    let mut board = Board::even_handed(2, &[0, 0, 0, 0]);
    board.scope = [(address(0), Pace::Slow), (address(3), Pace::Asked)].into();
    let moves = board.settle();
    let told: Vec<_> = moves.iter().map(|next| (next.address, next.pace)).collect();
    assert_eq!(told, [(address(3), Pace::Asked), (address(0), Pace::Slow)]);
    let mut none = Board::even_handed(2, &[0, 0, 0, 0]);
    none.scope.clear();
    assert_eq!(none.next(), None);
}

#[test]
fn nodes_that_are_not_steady_lose_and_get_nothing() {
    for unsteady in [0, 1] {
        let mut board = Board::even_handed(2, &[0, 0, 0, 0]);
        board.unsteady.insert(name(unsteady));
        assert_eq!(board.next(), None, "node {unsteady}");
    }
    // A preferred one that is not well is not waited for: the others are not even preferred then.
    let mut board = Board::even_handed(2, &[0, 0, 0, 0]);
    board
        .seats
        .iter_mut()
        .for_each(|seat| seat.0 = set(&[1, 5]));
    board.unsteady.insert(name(1));
    assert_eq!(board.next(), None);
}
