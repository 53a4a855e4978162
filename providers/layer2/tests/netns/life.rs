//! The thread: paused, stopped.

use super::*;

/// Not a test of its own: what `a_waking_agent_answers_no_old_requests` runs as a process.
#[test]
fn role_announcer() {
    let Ok(index) = env::var("HERALD_TEST_ANNOUNCE_ON") else {
        return;
    };
    let options = Options::default();
    let pulse = Arc::clone(&options.pulse);
    let layer2 = Layer2::start(options, |_| {}).unwrap();
    let place = Place {
        address: v4(),
        interface: IfIndex(index.parse().unwrap()),
    };
    let duty = Duty::Own {
        gain: Gain::Takeover,
        round: 0,
    };
    layer2.set_desired(Arc::new(Desired {
        duties: [(place, duty)].into(),
        ..Desired::default()
    }));
    // As the heartbeats do.
    for _ in 0..1_200 {
        pulse.beat();
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_waking_agent_answers_no_old_requests() {
    use nix::sys::signal::{Signal, kill};
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let index = node.index.to_string();
    let agent = node.station.spawn(
        env::current_exe().unwrap(),
        &["--exact", "life::role_announcer", "--nocapture"],
        &[("HERALD_TEST_ANNOUNCE_ON", &index)],
    );
    wait_for("it answers", SOON, || host.resolve(v4()) == Some(node.mac));
    let pid = nix::unistd::Pid::from_raw(agent.id());
    thread::sleep(Duration::from_millis(4300));
    kill(pid, Signal::SIGSTOP).unwrap();
    // Its threads stop one after the other.
    thread::sleep(Duration::from_millis(100));
    let (interface, vip) = (host.index, [192, 168, 77, 200].into());
    let mac = host.mac;
    let (silent_for, answered) = host.station.run(move || {
        let tap = Tap::open(interface).unwrap();
        let ask = |n| {
            tap.send(&frame::arp::request(mac, [192, 168, 77, n].into(), vip))
                .unwrap()
        };
        for _ in 0..50 {
            ask(2);
            thread::sleep(Duration::from_millis(20));
        }
        let woken = Instant::now();
        kill(pid, Signal::SIGCONT).unwrap();
        // Replies to the old requests go to .2, those to the new ones to .3.
        let (mut silent_for, mut old) = (None, 0);
        while woken.elapsed() < Duration::from_millis(800) {
            ask(3);
            let until = Instant::now() + Duration::from_millis(20);
            while let Ok(Some(frame)) = tap.next(until.saturating_duration_since(Instant::now())) {
                let is_reply = frame[12..14] == [8, 6]
                    && frame[20..22] == [0, 2]
                    && frame[6..12] == [2, 0, 0, 0, 0, 1];
                if is_reply && frame[..6] == mac.0 && frame[38..42] == [192, 168, 77, 3] {
                    silent_for.get_or_insert(woken.elapsed());
                } else if is_reply && frame[..6] == mac.0 {
                    old += 1;
                }
            }
        }
        (silent_for, old)
    });
    assert_eq!(answered, 0, "replies to requests from before");
    let silent_for = silent_for.expect("it answers again");
    assert!(
        silent_for >= Duration::from_millis(200),
        "it gives the agent time to learn: {silent_for:?}"
    );
}

#[test]
fn it_ends_when_dropped_and_says_so() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    let ended = layer2.layer2.ended();
    layer2.layer2.stop();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert!(matches!(runtime.block_on(ended), Ending::Stopped));
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), None);
}

/// Not a test of its own: what `a_missing_capability_is_named` runs as a process.
#[test]
fn role_starter() {
    if env::var_os("HERALD_TEST_START").is_some() {
        let error = Layer2::start(Options::default(), |_| {}).unwrap_err();
        println!("{}: {error}", error.reason());
    }
}

#[test]
fn a_missing_capability_is_named() {
    if !can_make_namespaces() || !installed("setpriv") {
        return;
    }
    let segment = Segment::new();
    let node = segment.plug();
    let exe = env::current_exe().unwrap();
    let line = format!(
        "HERALD_TEST_START=1 setpriv --bounding-set=-net_raw --inh-caps=-net_raw -- {} --exact life::role_starter --nocapture",
        exe.display()
    );
    let output = node.station.sh(&line);
    assert!(
        output.contains("NeedsNetRaw: needs CAP_NET_RAW: run as root or add NET_RAW to the container's capabilities"),
        "{output}"
    );
}

#[test]
fn what_queued_up_during_a_pause_is_thrown_away() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let (sink, reports) = mpsc::channel();
    let (gate, closed) = mpsc::channel::<()>();
    let options = Options::default();
    let pulse = Arc::clone(&options.pulse);
    let layer2 = node.station.run(move || {
        Layer2::start(options, move |report| {
            // A question's end blocks the thread, which with the heartbeats' silence is as good as a pause.
            if matches!(report, Report::Answered { .. }) {
                let _ = closed.recv();
            }
            drop(sink.send(report));
        })
        .unwrap()
    });
    let layer2 = Node { layer2, reports };
    let other = Place {
        address: "192.168.77.250".parse().unwrap(),
        interface: node.index,
    };
    let place = Place {
        address: v4(),
        interface: node.index,
    };
    let own = Duty::Own {
        gain: Gain::Takeover,
        round: 0,
    };
    let ask = Duty::Ask(Question {
        id: 1,
        wonder: Wonder::Takeover,
    });
    let duties = [(place, own), (other, ask)].into();
    layer2.layer2.set_desired(Arc::new(Desired {
        duties,
        ..Desired::default()
    }));
    // The last sign of life.
    pulse.beat();
    thread::sleep(Duration::from_millis(300));
    let (index, mac) = (host.index, host.mac);
    host.station.run(move || {
        let tap = Tap::open(index).unwrap();
        for _ in 0..100 {
            tap.send(&frame::arp::request(
                mac,
                [192, 168, 77, 2].into(),
                [192, 168, 77, 200].into(),
            ))
            .unwrap();
        }
    });
    thread::sleep(Duration::from_millis(700));
    drop(gate);
    wait_for("the pause is noticed", SOON, || {
        layer2.counter("pauses") == 1
    });
    assert_eq!(layer2.counter("stale"), 100);
    assert_eq!(layer2.counter("replies"), 0);
}
