//! Those who switch node ports on again, and when Herald gives in.

use super::*;

/// Looks, decides and carries the decision out. Returns the decision.
fn turn(contest: &mut Contest, service: &mut ServiceRecord, wish: Wish, now: i64) -> Decision {
    contest.noticed(service, wish, &Need::None, now);
    // A second look at the same state must change nothing.
    contest.noticed(service, wish, &Need::None, now);
    let decision = decide(service, wish, &Need::None, contest, now);
    match &decision.patch {
        Some(patch) if patch.allocate => *service = super::service(),
        Some(_) => {
            contest.patched(&service.uid);
            *service = by_herald(super::service());
        }
        None => {}
    }
    if decision
        .verdict
        .as_ref()
        .is_some_and(|v| v.reason == Reason::DISABLED)
    {
        *service = saying_disabled(service.clone());
    } else {
        service.node_ports = None;
    }
    decision
}

/// Somebody replaces the Service: the flag is true again and the numbers are new.
fn switch_back(service: &mut ServiceRecord) {
    *service = ServiceRecord {
        node_ports: service.node_ports.clone(),
        node_ports_flag_owner: Some("kubectl-replace".into()),
        ..super::service()
    };
}

#[test]
fn herald_gives_in_for_an_hour_after_three_switches_back() {
    let mut contest = Contest::default();
    let mut web = service();
    let mut rounds = Vec::new();
    for now in [0, 10, 20, 30] {
        let decision = turn(&mut contest, &mut web, Wish::Disable, now);
        rounds.push(decision.patch.is_some());
        switch_back(&mut web);
    }
    assert_eq!(rounds, [true, true, true, false]);
    let resting = turn(&mut contest, &mut web, Wish::Disable, 40);
    assert_eq!(resting.patch, None);
    assert_eq!(resting.look_again, Some(30 + 3600));
    let verdict = resting.verdict.unwrap();
    assert_eq!(verdict.reason.as_str(), "NodePortsContested");
    assert!(
        verdict.message.contains("kubectl-replace"),
        "{}",
        verdict.message
    );
    let again = turn(&mut contest, &mut web, Wish::Disable, 30 + 3600);
    assert!(again.patch.is_some());
    assert!(again.look_again.is_none());
    switch_back(&mut web);
    assert!(
        turn(&mut contest, &mut web, Wish::Disable, 3700)
            .patch
            .is_some()
    );
}

#[test]
fn a_fight_that_never_lets_the_condition_be_written_is_seen_too() {
    let mut contest = Contest::default();
    let mut web = service();
    let patches = (0..10).filter(|now| {
        let patched = turn(&mut contest, &mut web, Wish::Disable, *now)
            .patch
            .is_some();
        switch_back(&mut web);
        web.node_ports = None;
        patched
    });
    assert_eq!(patches.count(), 3);
}

#[test]
fn rare_switches_back_and_herald_s_own_do_not_add_up() {
    let mut contest = Contest::default();
    let mut web = service();
    for day in 0..20 {
        assert!(
            turn(&mut contest, &mut web, Wish::Disable, day * 400)
                .patch
                .is_some()
        );
        switch_back(&mut web);
    }
    let mut contest = Contest::default();
    let mut web = service();
    for now in 0..20 {
        assert!(
            turn(&mut contest, &mut web, Wish::Disable, now)
                .patch
                .is_some()
        );
        assert!(
            turn(&mut contest, &mut web, Wish::Enable, now)
                .patch
                .is_some()
        );
    }
}

#[test]
fn the_condition_stands_in_for_lost_memory_and_a_new_wish_wipes_it() {
    let mut contest = Contest::default();
    let mut web = saying_disabled(service());
    // After a restart: on again, though Herald's condition says Disabled. That is the first.
    for now in 0..2 {
        assert!(
            turn(&mut contest, &mut web, Wish::Disable, now)
                .patch
                .is_some()
        );
        switch_back(&mut web);
    }
    assert!(
        turn(&mut contest, &mut web, Wish::Disable, 2)
            .patch
            .is_none()
    );
    assert!(
        turn(&mut contest, &mut web, Wish::Keep, 3)
            .verdict
            .is_none()
    );
    assert!(
        turn(&mut contest, &mut web, Wish::Disable, 4)
            .patch
            .is_some()
    );
    contest.forget(&web.uid);
    assert_eq!(contest.resting_until(&web.uid, 4), None);
}
