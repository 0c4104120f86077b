//! The way into a workload through its own proxy: HTTP, HTTP/2 and bytes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;

use crate::backend::Backend;
use crate::client::get;
use crate::envoy::{Envoy, free_cidr};
use crate::site::{ServiceBuilder as _, WorkloadBuilder as _, service, site, workload};

#[test]
fn a_request_passes_both_proxies_as_it_is() {
    let (a, client, server) = (Backend::start("a"), free_cidr(), free_cidr());
    let site = site()
        .service(service("shop/a").http(8080, a.address.port().into()))
        .workload(workload("shop/client-1").proxy(&client, 15106))
        .workload(workload("shop/a-1").at(a.address).proxy(&server, free_port()));
    let endpoint = site.workloads[1].endpoint(a.address.port().try_into().unwrap());
    let (_client, _server) = (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/a-1")));
    let answer = get(site.address("shop/a", &client, 8080), "/x?q=%20");
    assert_eq!((answer.status, answer.backend(), answer.header("server")), (200, "a", Some("stub")));
    let seen = a.last();
    assert_eq!((seen.path.as_str(), seen.header("host").as_deref()), ("/x?q=%20", Some("svc")));
    assert_eq!(get(endpoint, "/direct").backend(), "a", "the inbound listener is where others reach it");
    assert_eq!(get(site.address("shop/a", &server, 8080), "/self").backend(), "a", "a workload may call itself");
}

#[test]
fn bytes_pass_both_proxies() {
    let echo = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let at = echo.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in echo.incoming().flatten() {
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    let (client, server) = (free_cidr(), free_cidr());
    let site = site()
        .service(service("shop/echo").port("", 7007, Target::TargetNumber(at.port().into()), Protocol::Tcp))
        .workload(workload("shop/client-1").proxy(&client, 15106))
        .workload(workload("shop/echo-1").at(at).proxy(&server, free_port()));
    let (_client, _server) = (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/echo-1")));
    let mut stream = TcpStream::connect(site.address("shop/echo", &client, 7007)).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
