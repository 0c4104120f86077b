//! A start file in parts: whole it is what it was, and without a listener it is what it would be without.

use prost::Message as _;
use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;
use skerry_xds::bootstrap::{Bootstrap, BootstrapOptions, NodeId, Parts, static_bootstrap, static_parts};

use crate::site::{ServiceBuilder as _, WorkloadBuilder as _, service, site, workload};

/// A start file, and the same in parts.
fn both() -> (Bootstrap, Parts) {
    let set = site()
        .service(service("shop/web").http(80, 9080))
        .service(service("shop/db").port("", 5432, Target::TargetNumber(5432), Protocol::Tcp))
        .workload(workload("shop/web-1").port("", 9080).proxy("127.65.0.0/16", 15006))
        .lower("shop/web-1");
    let node = NodeId { id: "s/shop/web-1".to_owned(), cluster: "s".to_owned() };
    let options = BootstrapOptions::default();
    (static_bootstrap(&set, &node, &options), static_parts(&set, &node, &options))
}

#[test]
fn a_start_file_in_parts_is_whole() {
    let (whole, Parts { bytes, listeners }) = both();
    assert_eq!(Bootstrap::decode(bytes.as_slice()).unwrap(), whole);
    let resources = whole.static_resources.unwrap();
    assert_eq!(listeners.len(), resources.listeners.len());
    let addresses: Vec<String> = listeners.iter().map(|part| part.at.to_string()).collect();
    assert!(addresses.contains(&"127.0.0.1:15006".to_owned()), "{addresses:?}");
    assert!(addresses.iter().any(|at| at.starts_with("127.65.0.") && at.ends_with(":5432")), "{addresses:?}");
}

#[test]
fn a_listener_that_is_cut_out_is_not_there_and_nothing_else_is_missing() {
    let (whole, Parts { bytes, listeners }) = both();
    for (at, part) in listeners.iter().enumerate() {
        let cut = [&bytes[..part.range.start], &bytes[part.range.end..]].concat();
        let mut expected = whole.clone();
        expected.static_resources.as_mut().unwrap().listeners.remove(at);
        assert_eq!(Bootstrap::decode(cut.as_slice()).unwrap(), expected, "{}", part.at);
    }
}
