//! Loopback addresses for one run: a block of 127/8 that no other run has at the same time.
//!
//! A block is claimed with a file lock, which the kernel lets go when the process ends, however it
//! ends. Inside a block addresses are only counted up, so port numbers can be the same everywhere.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, Result, bail};

/// Second octets that are given out: below lie the addresses that people and systems use themselves.
const SECOND_OCTETS: std::ops::Range<u8> = 64..255;
/// Blocks in each second octet: /20, so that each has one /24 of addresses and 15 of virtual ones.
const BLOCKS_IN_OCTET: u16 = 16;

/// A /20 of 127/8: one /24 of single addresses, and 15 more to give to proxies.
#[derive(Debug)]
pub struct Net {
    octets: (u8, u8),
    next_address: AtomicU8,
    next_range: AtomicU8,
    /// Held for the life of the block.
    _lock: File,
}

impl Net {
    /// Claims a free block.
    ///
    /// Fails when the lock folder cannot be written or all 3,056 blocks are taken.
    pub fn claim() -> Result<Self> {
        let folder = std::env::temp_dir().join("skerry-net");
        fs_err::create_dir_all(&folder)?;
        open_to_all(&folder);
        let total = u16::from(SECOND_OCTETS.end - SECOND_OCTETS.start) * BLOCKS_IN_OCTET;
        let start = rand::random_range(0..total);
        for step in 0..total {
            if let Some(net) = Self::try_claim(&folder, (start + step) % total)? {
                return Ok(net);
            }
        }
        bail!("all {total} blocks of loopback addresses are taken (locks in {})", folder.display())
    }

    fn try_claim(folder: &Path, block: u16) -> Result<Option<Self>> {
        let low = u8::try_from(block % BLOCKS_IN_OCTET).context("a block's number is below 16")?;
        let high = u8::try_from(block / BLOCKS_IN_OCTET).context("an octet's number is below 191")?;
        let octets = (SECOND_OCTETS.start + high, low * 16);
        let path = folder.join(format!("127.{}.{}", octets.0, octets.1));
        let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        open_to_all(&path);
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { octets, next_address: 1.into(), next_range: 1.into(), _lock: lock })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(error).context("cannot lock a block of addresses")
            }
        }
    }

    /// Fails with the first of these ports that somebody has on every address of this machine (`0.0.0.0` or `[::]`), and
    /// so on those of this block too.
    pub fn must_have(&self, ports: &[u16]) -> Result<()> {
        // An address that is never given out.
        let probe = Ipv4Addr::new(127, self.octets.0, self.octets.1, 254);
        for port in ports {
            match TcpListener::bind((probe, *port)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                    "port {port} is taken on every address of this machine: end what listens there, or let it listen on \
                     an address of its own (`ss -ltnp 'sport = :{port}'` shows it)"
                ),
                Err(error) => return Err(error).with_context(|| format!("cannot listen on {probe}:{port}")),
            }
        }
        Ok(())
    }

    /// Gives out an address that nothing of this run has; at most 253 of them.
    pub fn address(&self) -> Ipv4Addr {
        let host = self.next_address.fetch_add(1, Ordering::Relaxed);
        assert!(host < 254, "a run has no more than 253 addresses");
        Ipv4Addr::new(127, self.octets.0, self.octets.1, host)
    }

    /// Gives out a fresh address with this port.
    pub fn socket(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address(), port))
    }

    /// Gives out a range of virtual addresses for one proxy, as `127.a.b.0/24`; at most 15 of them.
    pub fn range(&self) -> String {
        let range = self.next_range.fetch_add(1, Ordering::Relaxed);
        assert!(range < 16, "a run has no more than 15 ranges");
        format!("127.{}.{}.0/24", self.octets.0, self.octets.1 + range)
    }
}

/// Lets other users of the machine share the lock files; they may do without.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if path.is_dir() { 0o777 } else { 0o666 };
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
}

/// Says whether this user may listen on this port: those below 1024 are often kept for root.
pub fn may_listen(port: u16) -> bool {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::AddrInUse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_never_share_an_address() {
        let (one, two) = (Net::claim().unwrap(), Net::claim().unwrap());
        assert_ne!(one.octets, two.octets);
        assert_ne!(one.address(), one.address());
        assert_ne!(one.range(), two.range());
    }

    #[test]
    fn a_port_that_somebody_has_everywhere_is_named() {
        let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = everywhere.local_addr().unwrap().port();
        let error = Net::claim().unwrap().must_have(&[port]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} is taken on every address")), "{error}");
        drop(everywhere);
        Net::claim().unwrap().must_have(&[port]).unwrap();
    }
}
