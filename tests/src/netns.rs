//! A network namespace with nothing in it but a loopback interface, whose bytes can be counted.
//!
//! A thread belongs to a namespace, and so does every process that it starts: work is run on a thread
//! that has moved there. The kernel takes the namespace away with the last of them. Only root may make one.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::skipped;

/// The interface that every namespace has.
pub const LOOPBACK: &str = "lo";

/// A packet's bytes on most links (RFC 894).
const MTU: &str = "1500";

/// A network namespace; its processes may outlive this value.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

/// What an interface has carried, with the headers of IP, TCP and UDP and without those of Ethernet.
///
/// A packet over loopback counts once: for what goes both ways between two processes this is the sum of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes.
    pub bytes: u64,
    /// Packets, acknowledgements among them.
    pub packets: u64,
}

impl Carried {
    /// What was carried since an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { bytes: self.bytes - earlier.bytes, packets: self.packets - earlier.packets }
    }
}

impl Netns {
    /// Makes one, with its loopback interface up and cut into packets as other links are.
    ///
    /// # Errors
    /// This user may not, or `ip` (iproute2) is missing.
    pub fn new() -> Result<Self> {
        on_thread(|| {
            #[expect(deprecated, reason = "unsafe only with FILES, which this is not")]
            rustix::thread::unshare(UnshareFlags::NEWNET)
                .context("cannot make a network namespace: that takes root")?;
            ip(&["link", "set", LOOPBACK, "mtu", MTU, "gso_max_segs", "1", "up"])?;
            Ok(Self { file: File::open("/proc/thread-self/ns/net")? })
        })?
    }

    /// Makes one for a test; where that is not possible says why and returns `None`.
    pub fn of_test() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skipped::say("only root can make a network namespace");
            return None;
        }
        Self::new().inspect_err(|error| skipped::say(&format!("{error:#}"))).ok()
    }

    /// Runs work on a thread inside; processes that it starts are inside too.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            rustix::thread::move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter the network namespace")?;
            Ok(work())
        })?
    }

    /// Runs a future inside, on a runtime of its own.
    pub fn block_on<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> Result<T> {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(work()))
        })?
    }

    /// Runs `ip` inside: to take an interface down and up again.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        self.run(|| ip(arguments))?
    }

    /// What an interface has carried so far: what it has received.
    pub fn carried(&self, interface: &str) -> Result<Carried> {
        let table = self.run(|| fs_err::read_to_string("/proc/thread-self/net/dev"))??;
        received(&table, interface).with_context(|| format!("there is no interface {interface}"))
    }
}

/// Runs work on a thread of its own, to its end.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => Ok(value),
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot start ip (iproute2)")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {}` failed: {}", arguments.join(" "), errors.trim_end());
    Ok(())
}

/// Reads `  lo: <bytes> <packets> …` (proc_pid_net(5), `dev`).
fn received(table: &str, interface: &str) -> Option<Carried> {
    let row = table.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))?;
    let mut figures = row.split_whitespace().map(str::parse);
    Some(Carried { bytes: figures.next()?.ok()?, packets: figures.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn counts_every_byte_with_its_headers() {
        let Some(netns) = Netns::of_test() else { return };
        let before = netns.carried(LOOPBACK).unwrap();
        netns
            .run(|| {
                let there = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let here = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                here.send_to(&[0; 100], there.local_addr().unwrap()).unwrap();
                there.recv(&mut [0; 100]).unwrap();
            })
            .unwrap();
        let carried = netns.carried(LOOPBACK).unwrap().since(before);
        assert_eq!(carried, Carried { bytes: 100 + 8 + 20, packets: 1 });
    }

    #[test]
    fn a_long_message_is_cut_into_packets() {
        let Some(netns) = Netns::of_test() else { return };
        netns
            .run(|| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (mut there, _) = listener.accept().unwrap();
                here.write_all(&[0; 30_000]).unwrap();
                there.read_exact(&mut [0; 30_000]).unwrap();
            })
            .unwrap();
        let carried = netns.carried(LOOPBACK).unwrap();
        assert!(carried.packets >= 21, "30,000 B in packets of 1,448 B are 21 at least: {carried:?}");
        assert!(carried.bytes >= 30_000 + 21 * 52, "{carried:?}");
    }

    #[test]
    fn nobody_outside_is_reached_and_processes_inside_are_inside() {
        let Some(netns) = Netns::of_test() else { return };
        let outside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = outside.local_addr().unwrap();
        assert!(netns.run(|| TcpStream::connect(address).is_err()).unwrap());
        netns.ip(&["link", "set", LOOPBACK, "down"]).unwrap();
        let inside = || Command::new("ip").args(["-o", "link", "show", "up"]).output().unwrap().stdout;
        assert_eq!(netns.run(inside).unwrap(), b"", "the one interface is down");
        assert_ne!(inside(), b"", "but not that of everybody else");
        assert!(netns.carried("uplink").is_err());
    }

    #[test]
    fn an_interface_is_named_in_full() {
        let table =
            "Inter-|   Receive\n face |bytes    packets errs\n  lo0:  7  1 0\n    lo: 128       2    0\n";
        assert_eq!(received(table, "lo"), Some(Carried { bytes: 128, packets: 2 }));
        assert_eq!(received(table, "l"), None);
    }
}
