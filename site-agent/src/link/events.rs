//! Link events: what the kernel says of interfaces, addresses and routes (rtnetlink(7)), as far as it gives hope.
//!
//! Only listens, so it needs no privilege. Where the kernel does not tell, or stops to, that is said once and backoff
//! alone decides. Must not look into what changed: a try finds out.

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

/// `RTM_NEWADDR`.
const NEW_ADDRESS: u16 = 20;

/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;

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
}

impl Alarm {
    /// Begins to listen; where that cannot be, says so and never calls.
    pub(super) fn set() -> Self {
        let clock = Clock::start();
        let events = Events::open()
            .inspect_err(|error| info!("link events are not told here, backoff alone decides: {error}"));
        Self { events: events.ok(), early: Early::new(clock.now()), clock }
    }

    /// A try is made: what happened before it is dealt with.
    pub(super) fn handle_try(&mut self) {
        self.early.handle_try(self.clock.now());
    }

    /// Waits until a try is due because of an event. Events that piled up while nobody waited count as one.
    pub(super) async fn due(&mut self) {
        loop {
            let due = self.early.poll_timeout();
            let sleep = tokio::time::sleep_until(self.clock.instant(due.unwrap_or_default()));
            tokio::select! {
                biased;
                () = sleep, if due.is_some() => return,
                told = next(self.events.as_ref()) => match told {
                    Ok(()) => self.early.handle_event(self.clock.now(), share()),
                    Err(error) => {
                        warn!("link events are not told any more, backoff alone decides: {error}");
                        self.events = None;
                    }
                },
            }
        }
    }
}

async fn next(events: Option<&Events>) -> io::Result<()> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The kernel's socket.
#[derive(Debug)]
struct Events(AsyncFd<OwnedFd>);

impl Events {
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        #[expect(deprecated, reason = "unsound for a borrowed descriptor; this one is owned")]
        let listening = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self(listening))
    }

    /// Waits for the next event that gives hope.
    async fn next(&self) -> io::Result<()> {
        let mut datagram = [0; DATAGRAM];
        loop {
            let read = |socket: &OwnedFd| Ok(recv(socket, &mut datagram[..], RecvFlags::empty())?.0);
            match self.0.async_io(Interest::READABLE, read).await {
                Ok(length) if gives_hope(&datagram[..length]) => return Ok(()),
                // The kernel had no room for all of them: one that was dropped may have been it.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Says whether a datagram tells of something that came: an interface that runs, an address, a route. What went
/// away makes no try succeed. A message that is cut short is none.
fn gives_hope(mut datagram: &[u8]) -> bool {
    while let Some((length, kind)) = header(datagram) {
        let message = &datagram[..length.min(datagram.len())];
        let flags = message.get(HEADER + 8..HEADER + 12).and_then(|bytes| bytes.try_into().ok());
        match kind {
            NEW_ADDRESS | NEW_ROUTE => return true,
            NEW_LINK if flags.map(u32::from_ne_bytes).is_some_and(|flags| flags & RUNS == RUNS) => {
                return true;
            }
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// Reads length and type of the first message; `None` when there is none.
fn header(datagram: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
    (length >= HEADER && datagram.len() >= HEADER).then_some((length, kind))
}

#[cfg(test)]
mod tests;
