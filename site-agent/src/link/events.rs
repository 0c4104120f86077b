//! Link events: what the kernel says of interfaces, addresses and routes (rtnetlink(7)), as far as it gives hope.
//!
//! Only listens, so it needs no privilege. Where the kernel does not tell, or stops to, that is said once and backoff
//! alone decides. Must not look into what changed: a try finds out.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{info, warn};

use super::early::Early;
use crate::clock::{Clock, share};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`, `RTMGRP_IPV6_ROUTE`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// `RTM_NEWLINK`: an interface is new, or its state is.
const NEW_LINK: u16 = 16;

/// `RTM_DELLINK`.
const DEL_LINK: u16 = 17;

/// `RTM_NEWADDR`.
const NEW_ADDRESS: u16 = 20;

/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;

/// `RTM_DELROUTE`.
const DEL_ROUTE: u16 = 25;

/// `IFF_UP` and `IFF_RUNNING`: it is meant to be up, and it is.
const RUNS: u32 = 0x1 | 0x40;

/// Length of `struct nlmsghdr`; messages begin at multiples of 4 (netlink(7)).
const HEADER: usize = 16;

/// Room for one datagram: the kernel sends one message in each, of 1 to 2 KiB. What is longer is cut, which costs
/// nothing that is looked at.
const DATAGRAM: usize = 8 << 10;

/// Waits for link events, and says when one is to end a pause.
#[derive(Debug)]
pub(super) struct Alarm {
    events: Option<Events>,
    early: Early,
    clock: Clock,
    /// All was said the last time, so an event is of use only after something went away.
    is_content: bool,
    /// Something went away since.
    has_lost: bool,
}

impl Alarm {
    /// Begins to listen; where that cannot be, says so and never calls.
    pub(super) fn set() -> Self {
        let clock = Clock::start();
        let events = Events::open()
            .inspect_err(|error| info!("link events are not told here, backoff alone decides: {error}"));
        Self {
            events: events.ok(),
            early: Early::new(clock.now()),
            clock,
            is_content: false,
            has_lost: false,
        }
    }

    /// A try is made: what happened before it is dealt with.
    pub(super) fn handle_try(&mut self) {
        self.early.handle_try(self.clock.now());
    }

    /// A connection ended: with all that there was to say, or not. After one that did, an address that is renewed or an
    /// interface that is added tells nothing: whoever pulls once an hour is not to pull with each of them.
    pub(super) fn handle_end(&mut self, is_content: bool) {
        (self.is_content, self.has_lost) = (is_content, false);
    }

    /// Waits until a try is due because of an event. Events that piled up while nobody waited count as one.
    pub(super) async fn due(&mut self) {
        loop {
            let due = self.early.poll_timeout();
            let sleep = tokio::time::sleep_until(self.clock.instant(due.unwrap_or_default()));
            tokio::select! {
                biased;
                () = sleep, if due.is_some() => return,
                told = next(self.events.as_mut()) => match told {
                    Ok(Change::Gone) => self.has_lost = true,
                    Ok(Change::Came) if self.is_content && !self.has_lost => {}
                    Ok(Change::Came) => self.early.handle_event(self.clock.now(), share()),
                    Err(error) => {
                        warn!("link events are not told any more, backoff alone decides: {error}");
                        self.events = None;
                    }
                },
            }
        }
    }
}

async fn next(events: Option<&mut Events>) -> io::Result<Change> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The kernel's socket, and which interfaces were seen to run: where one went that ran all the time, the route to
/// everywhere goes with it.
#[derive(Debug)]
struct Events {
    socket: AsyncFd<OwnedFd>,
    running: BTreeSet<u32>,
}

impl Events {
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        #[expect(deprecated, reason = "unsound for a borrowed descriptor; this one is owned")]
        let listening = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket: listening, running: BTreeSet::new() })
    }

    /// Waits for the next event that tells something.
    async fn next(&mut self) -> io::Result<Change> {
        let mut datagram = [0; DATAGRAM];
        loop {
            let read = |socket: &OwnedFd| Ok(recv(socket, &mut datagram[..], RecvFlags::empty())?.0);
            match self.socket.async_io(Interest::READABLE, read).await {
                Ok(length) => {
                    if let Some(change) = change(&datagram[..length], &mut self.running) {
                        return Ok(change);
                    }
                }
                // The kernel had no room for all of them: one that was dropped may have been of either kind.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    return Ok(Change::Came);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// An interface runs, an address or a route is there: a try may succeed now.
    Came,
    /// An interface runs no more, or the way to everywhere is gone: what is there later is news.
    Gone,
}

/// Reads what a datagram tells, if anything. A message that is cut short tells nothing, and neither does the loss of an
/// address or of a route to somewhere: those are renewed, and go with each container.
fn change(mut datagram: &[u8], running: &mut BTreeSet<u32>) -> Option<Change> {
    let mut found = None;
    while let Some((length, kind)) = header(datagram) {
        let message = &datagram[..length.min(datagram.len())];
        let word =
            |at: usize| Some(u32::from_ne_bytes(message.get(HEADER + at..HEADER + at + 4)?.try_into().ok()?));
        match kind {
            NEW_ADDRESS | NEW_ROUTE => return Some(Change::Came),
            // `struct rtmsg`: the length of the destination's prefix is the second byte.
            DEL_ROUTE if message.get(HEADER + 1) == Some(&0) => found = Some(Change::Gone),
            NEW_LINK | DEL_LINK => {
                // `struct ifinfomsg`: index and flags are the second and the third word.
                let (Some(index), Some(flags)) = (word(4), word(8)) else { return found };
                if kind == NEW_LINK && flags & RUNS == RUNS {
                    running.insert(index);
                    return Some(Change::Came);
                }
                if running.remove(&index) {
                    found = Some(Change::Gone);
                }
            }
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Reads length and type of the first message; `None` when there is none.
fn header(datagram: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
    (length >= HEADER && datagram.len() >= HEADER).then_some((length, kind))
}

#[cfg(test)]
mod tests;
