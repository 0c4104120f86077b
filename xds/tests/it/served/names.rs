//! Names over DNS: the proxy answers with virtual addresses.

use std::net::{Ipv4Addr, UdpSocket};

use crate::envoy::{DEADLINE, Envoy, free_cidr};
use crate::site::{ServiceBuilder as _, WorkloadBuilder as _, service, site, workload};
use skerry_core::bundle::v1;
use skerry_xds::lower::DNS_PORT;

const A: u16 = 1;
const AAAA: u16 = 28;

/// A question of the given type for a name (RFC 1035 §4.1).
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// Asks a name server; returns the code of the answer and the data of its first record.
fn ask(server: Ipv4Addr, name: &str, kind: u16) -> (u8, Option<Vec<u8>>) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let question = question(name, kind);
    socket.send_to(&question, (server, DNS_PORT)).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    let records = u16::from_be_bytes([answer[6], answer[7]]);
    // The record follows the question: its name again, then type, class, TTL, length and data.
    let record = &answer[question.len()..length];
    let size = if kind == A { 4 } else { 16 };
    (answer[3] & 0xf, (records > 0).then(|| record[record.len() - size..].to_vec()))
}

#[test]
fn a_service_is_found_by_its_name() {
    let cidr = free_cidr();
    let site = site()
        .service(service("shop/web").http(8080, 1))
        .service(v1::Service { cluster_ip: "fd00::1".to_owned(), ..service("shop/six").http(8080, 1) })
        .workload(workload("shop/client-1").proxy(&cidr, 15006));
    let _envoy = Envoy::serve(&site.lower("shop/client-1"));
    let network: Ipv4Addr = cidr.trim_end_matches("/24").parse().unwrap();
    let proxy = Ipv4Addr::from(u32::from(network) + 1);
    let web = Ipv4Addr::from(u32::from(network) + 2);
    assert_eq!(ask(proxy, "web.shop.svc.cluster.local", A), (0, Some(web.octets().to_vec())));
    assert_eq!(ask(proxy, "WEB.Shop.svc.cluster.local", A), (0, Some(web.octets().to_vec())));
    let six: std::net::Ipv6Addr = "fd00::1".parse().unwrap();
    assert_eq!(ask(proxy, "six.shop.svc.cluster.local", AAAA), (0, Some(six.octets().to_vec())));
    assert_eq!(ask(proxy, "none.shop.svc.cluster.local", A), (3, None), "no such name");
}
