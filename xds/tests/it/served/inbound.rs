//! The way into a workload through its own proxy: HTTP, HTTP/2 and bytes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;
use skerry_xds::resource::{ResourceKind, ResourceSet};
use tokio_stream::StreamExt as _;

use crate::ads::agent::Agent;
use crate::backend::Backend;
use crate::client::get;
use crate::envoy::{Envoy, free_cidr};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, WorkloadBuilder as _, backend, route, service, site, workload,
};

#[test]
fn a_request_passes_both_proxies_as_it_is() {
    let (a, client, server) = (Backend::start("a"), free_cidr(), free_cidr());
    let site = site()
        .service(service("shop/a").http(8080, a.address.port().into()))
        .workload(workload("shop/client-1").proxy(&client, 15106))
        .workload(workload("shop/a-1").at(a.address).proxy(&server, free_port()));
    let endpoint = site.workloads[1].endpoint(a.address.port().try_into().unwrap());
    let (_client, _server) =
        (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/a-1")));
    let answer = get(site.address("shop/a", &client, 8080), "/x?q=%20");
    assert_eq!((answer.status, answer.backend(), answer.header("server")), (200, "a", Some("stub")));
    let seen = a.last();
    assert_eq!((seen.path.as_str(), seen.header("host").as_deref()), ("/x?q=%20", Some("svc")));
    assert_eq!(get(endpoint, "/direct").backend(), "a", "the inbound listener is where others reach it");
    assert_eq!(
        get(site.address("shop/a", &server, 8080), "/self").backend(),
        "a",
        "a workload may call itself"
    );
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
    let (_client, _server) =
        (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/echo-1")));
    let mut stream = TcpStream::connect(site.address("shop/echo", &client, 7007)).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
}

/// A gRPC stream, from a client that speaks HTTP/2 to a server that speaks nothing else.
#[test]
fn a_grpc_stream_passes_both_proxies() {
    let (_app, at) = Agent::start_tcp(&ResourceSet::default());
    let (client, server) = (free_cidr(), free_cidr());
    let target = Target::TargetNumber(at.port().into());
    let routes = vec![route("default").to(&[backend("shop/grpc", 50051)])];
    let site = site()
        .service(service("shop/grpc").port("", 50051, target, Protocol::Http2).routes(50051, "", routes))
        .workload(workload("shop/client-1").proxy(&client, 15106))
        .workload(workload("shop/grpc-1").at(at).proxy(&server, free_port()));
    let (_client, _server) =
        (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/grpc-1")));
    let virtual_address = site.address("shop/grpc", &client, 50051);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let mut client =
            AggregatedDiscoveryServiceClient::connect(format!("http://{virtual_address}")).await.unwrap();
        let request = DeltaDiscoveryRequest {
            type_url: ResourceKind::Cluster.type_url().to_owned(),
            resource_names_subscribe: vec!["none".to_owned()],
            ..Default::default()
        };
        // The request side stays open: an answer that comes is one of a stream.
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        client.delta_aggregated_resources(requests).await.unwrap().into_inner().message().await.unwrap()
    });
    assert_eq!(answer.unwrap().removed_resources, ["none"]);
}

/// RFC 6455 §1.3, as far as a proxy sees it: an upgrade, then bytes both ways.
#[test]
fn a_websocket_passes_both_proxies() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_head(&mut stream);
        assert!(request.to_ascii_lowercase().contains("upgrade: websocket"), "{request}");
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
            )
            .unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let (client, server) = (free_cidr(), free_cidr());
    let site = site()
        .service(service("shop/chat").http(8080, at.port().into()))
        .workload(workload("shop/client-1").proxy(&client, 15106))
        .workload(workload("shop/chat-1").at(at).proxy(&server, free_port()));
    let (_client, _server) =
        (Envoy::serve(&site.lower("shop/client-1")), Envoy::serve(&site.lower("shop/chat-1")));
    let mut stream = TcpStream::connect(site.address("shop/chat", &client, 8080)).unwrap();
    stream
        .write_all(b"GET /chat HTTP/1.1\r\nhost: svc\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n")
        .unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101"));
    stream.write_all(b"ping").unwrap();
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
}

/// Reads up to the empty line, and nothing behind it.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A port that nobody listens at: below those that the kernel gives to connections, which come and go at any time.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).take(4_000).find(is_free).unwrap()
}
