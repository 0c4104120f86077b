//! Services that nobody asks: they make a bundle large, or a commit new.

use rand::{Rng as _, SeedableRng as _};

/// Hexadecimal digits of a service's noise: they compress to half, so 20 services are more than rides in an offer.
const DIGITS: usize = 2_000;

/// Text that is another for each seed.
pub(crate) fn noise(seed: u64) -> String {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    (0..DIGITS).map(|_| char::from_digit(random.random_range(0..16), 16).expect("below 16")).collect()
}

/// A service with one port.
pub(crate) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}}}]}}\n"
    )
}

/// The service `filler-<at>` whose route sets a header to a text.
pub(crate) fn service_with_route(at: usize, text: &str) -> String {
    let name = format!("filler-{at}");
    format!(
        "{}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  parentRefs: [{{group: \"\", kind: Service, name: {name}, port: 8080}}]\n  rules:\n    - filters:\n        \
         - type: ResponseHeaderModifier\n          responseHeaderModifier: {{set: [{{name: x-noise, value: n{text}}}]}}\n",
        service(&name, 8080)
    )
}
