//! Fragments to test with.

use proptest::prelude::*;
use skerry_core::bundle::{EncodedFragment, v1};

/// A service with so many routes.
pub(crate) fn service(routes: usize, weight: u32) -> EncodedFragment {
    let backend = |version: &str, weight| v1::Backend {
        namespace: "shop".to_owned(),
        name: format!("checkout-{version}"),
        port: 8080,
        weight,
        ..v1::Backend::default()
    };
    let route = |number: usize| v1::Route {
        name: format!("shop/checkout/{number}/0"),
        action: Some(v1::route::Action::Forward(v1::Forward {
            backends: vec![backend("v1", 100 - weight), backend("v2", weight)],
            ..v1::Forward::default()
        })),
        ..v1::Route::default()
    };
    let table =
        v1::RouteTable { port: 8080, routes: (0..routes).map(route).collect(), ..v1::RouteTable::default() };
    EncodedFragment::service(v1::Service {
        namespace: "shop".to_owned(),
        name: "checkout".to_owned(),
        index: 1,
        tables: vec![table],
        ..v1::Service::default()
    })
}

/// A fragment of any bytes: the codec does not look into them.
pub(crate) fn any_fragment() -> impl Strategy<Value = EncodedFragment> {
    let random = proptest::collection::vec(any::<u8>(), 0..2_000);
    let regular = (any::<u8>(), 0_usize..5_000).prop_map(|(byte, count)| vec![byte; count]);
    prop_oneof![random, regular].prop_map(|bytes| of_bytes(&bytes))
}

/// A fragment of these bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> EncodedFragment {
    let key = skerry_core::bundle::FragmentKey::Settings;
    EncodedFragment::of_bytes(key, bytes)
}
