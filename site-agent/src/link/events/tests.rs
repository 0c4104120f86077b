//! What gives hope, told byte by byte; and a real kernel, in a network namespace of the test's own.

use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use rustix::thread::UnshareFlags;

use super::*;

/// Long enough for a loaded machine; nothing waits for its end where all is well.
const DEADLINE: Duration = Duration::from_secs(60);

/// A message about the interface 7, or of a route to everywhere.
fn message(kind: u16, flags: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + 16];
    bytes[..4].copy_from_slice(&32_u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&7_u32.to_ne_bytes());
    bytes[HEADER + 8..HEADER + 12].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

#[test]
fn what_came_and_what_went_are_told_apart() {
    let mut somewhere = message(DEL_ROUTE, 0);
    somewhere[HEADER + 1] = 24;
    for (datagram, before, expected, after) in [
        (message(NEW_LINK, RUNS), false, Some(Change::Came), true),
        (message(NEW_LINK, RUNS | 0x1_0008), true, Some(Change::Came), true),
        (message(NEW_LINK, 0x1), true, Some(Change::Gone), false),
        (message(NEW_LINK, 0x1), false, None, false),
        (message(DEL_LINK, RUNS), true, Some(Change::Gone), false),
        (message(DEL_LINK, 0), false, None, false),
        (message(NEW_ADDRESS, 0), false, Some(Change::Came), false),
        (message(NEW_ADDRESS + 1, 0), false, None, false),
        (message(NEW_ROUTE, 0), false, Some(Change::Came), false),
        (message(DEL_ROUTE, 0), false, Some(Change::Gone), false),
        (somewhere, false, None, false),
    ] {
        let mut running: BTreeSet<u32> = before.then_some(7).into_iter().collect();
        assert_eq!(change(&datagram, &mut running), expected, "{datagram:?}");
        assert_eq!(running.contains(&7), after, "{datagram:?}");
    }
}

#[test]
fn of_several_messages_one_that_came_is_enough() {
    let mut went = message(DEL_LINK, 0);
    went.truncate(30);
    went[..4].copy_from_slice(&30_u32.to_ne_bytes());
    went.extend([0, 0]);
    let read = |datagram: &[u8]| change(datagram, &mut BTreeSet::from([7]));
    assert_eq!(
        read(&[went.clone(), message(NEW_ROUTE, 0)].concat()),
        Some(Change::Came),
        "padded to a multiple of 4"
    );
    assert_eq!(read(&[went.clone(), went].concat()), Some(Change::Gone));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = change(&bytes, &mut BTreeSet::new());
        let cut = &message(NEW_LINK, RUNS)[..bytes.len().min(27)];
        prop_assert_eq!(change(cut, &mut BTreeSet::new()), None, "a message without its flags says nothing");
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// Says whether the alarm calls before this is over.
async fn calls(alarm: &mut Alarm, within: Duration) -> bool {
    tokio::time::timeout(within, alarm.due()).await.is_ok()
}

async fn interfaces_come_and_go() {
    let mut alarm = Alarm::set();
    ip(&["link", "set", "lo", "up"]);
    assert!(calls(&mut alarm, DEADLINE).await, "an interface came up");
    alarm.handle_try();

    ip(&["link", "add", "uplink", "type", "veth", "peer", "name", "far"]);
    ip(&["link", "set", "uplink", "up"]);
    ip(&["link", "set", "far", "up"]);
    assert!(calls(&mut alarm, DEADLINE).await, "it has a carrier");
    alarm.handle_try();
    ip(&["addr", "add", "192.0.2.2/24", "dev", "uplink"]);
    assert!(calls(&mut alarm, DEADLINE).await, "it has an address");
    alarm.handle_try();
    ip(&["route", "add", "default", "via", "192.0.2.1"]);
    assert!(calls(&mut alarm, DEADLINE).await, "there is a route");
    alarm.handle_try();

    // All is said: another address, an interface more, a route that is renewed are no reason to say it again.
    alarm.handle_end(true);
    ip(&["addr", "add", "192.0.2.3/24", "dev", "uplink"]);
    ip(&["link", "add", "pod", "type", "veth", "peer", "name", "pod-far"]);
    ip(&["link", "set", "pod", "up"]);
    ip(&["route", "add", "198.51.100.0/24", "via", "192.0.2.1"]);
    assert!(!calls(&mut alarm, Duration::from_secs(3)).await, "nothing had gone");
    // A link that goes and comes back is one.
    ip(&["link", "set", "uplink", "down"]);
    ip(&["link", "set", "uplink", "up"]);
    assert!(calls(&mut alarm, DEADLINE).await, "it was away");
}

/// The kernel tells of everything that a link needs to come back; only root can make it.
#[test]
#[allow(clippy::print_stderr, reason = "a test that is passed over must say why")]
fn an_interface_that_comes_back_calls() {
    if !rustix::process::geteuid().is_root() || Command::new("ip").arg("-V").output().is_err() {
        return eprintln!("skipped: only root can make a network namespace, with ip (iproute2)");
    }
    // A thread of its own: the namespace is the thread's, and ends with it.
    let inside = || {
        #[expect(deprecated, reason = "unsafe only with FILES, which this is not")]
        rustix::thread::unshare(UnshareFlags::NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(interfaces_come_and_go());
    };
    std::thread::scope(|scope| scope.spawn(inside).join()).unwrap();
}
