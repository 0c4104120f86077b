//! A look whether an address can be bound, with the options that Envoy binds it with.

use std::net::SocketAddr;

use rustix::net::sockopt::{set_ip_freebind, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use skerry_xds::lower::DNS_PORT;

/// Says whether an address can be bound now. It is let go at once; what another Envoy of this user
/// holds can be bound too (`SO_REUSEPORT`), as by Envoy itself.
///
/// `is_here` is false for an address that Envoy found to be no address of this host: `IP_FREEBIND`
/// would bind it all the same.
pub(crate) fn probe(at: SocketAddr, is_here: bool) -> bool {
    let kind = if at.port() == DNS_PORT { SocketType::DGRAM } else { SocketType::STREAM };
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let try_it = || -> rustix::io::Result<()> {
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_reuseaddr(&socket, true)?;
        set_socket_reuseport(&socket, true)?;
        if is_here {
            set_ip_freebind(&socket, true)?;
        }
        bind(&socket, &at)
    };
    try_it().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_who_holds_an_address_and_who_shares_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        assert!(!probe(at, true));
        drop(taken);
        assert!(probe(at, true));

        let shared =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_reuseport(&shared, true).unwrap();
        bind(&shared, &at).unwrap();
        rustix::net::listen(&shared, 1).unwrap();
        assert!(probe(at, true));
    }

    #[test]
    fn an_address_of_another_host_is_free_only_where_it_needs_not_be_here() {
        let elsewhere = "192.0.2.1:7".parse().unwrap();
        assert!(probe(elsewhere, true));
        assert!(!probe(elsewhere, false));
    }
}
