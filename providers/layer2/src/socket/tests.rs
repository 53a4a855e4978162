//! A link that cannot be used. That one can is tested in `tests/netns.rs`.

use herald_spi::Mac;

use super::*;

/// The list of links says it is there, the kernel says it is not (or that packet sockets are forbidden).
#[test]
fn a_link_that_cannot_be_used_is_told_once_and_tried_again_in_peace() {
    let at = |millis| Time::from_start(Duration::from_millis(millis));
    let index = IfIndex(0x7fff_0000);
    let link = Link {
        index,
        name: "eth9".into(),
        mac: Mac([2, 0, 0, 0, 0, 9]),
        up: true,
        addresses: Vec::new(),
    };
    let up = Links::from([(index, link.clone())]);
    let down = Links::from([(index, Link { up: false, ..link })]);
    let mut sockets = Sockets::default();
    sockets.set_links(at(0), &up);
    sockets.set_addresses(at(0), index, vec![[192, 0, 2, 1].into()]);
    let troubles = sockets.troubles();
    assert!(
        matches!(&troubles[..], [(it, Some(_))] if *it == index),
        "{troubles:?}"
    );
    assert_eq!(sockets.next_deadline(), Some(at(1000)));
    assert!(!sockets.send(at(1), index, &[0; 60]));
    for millis in [500, 1000, 1500, 2000] {
        sockets.retry(at(millis));
    }
    assert_eq!(
        (sockets.troubles(), sockets.next_deadline()),
        (vec![], Some(at(3000)))
    );

    sockets.set_links(at(2100), &down);
    assert_eq!(
        (sockets.troubles(), sockets.next_deadline()),
        (vec![(index, None)], None)
    );
    sockets.set_links(at(2200), &up);
    assert_eq!(sockets.troubles().len(), 1, "it is news again");
    sockets.set_addresses(at(2300), index, Vec::new());
    assert_eq!(sockets.next_deadline(), None);
}
