//! What strangers may say to a core: requests to enrol and to renew, with the signing requests in them.

use prost::Message as _;
use skerry_core::id::SiteId;
use skerry_identity::certificate::Certificate;
use skerry_identity::csr;
use skerry_identity::token::TokenSecret;
use skerry_proto::v1::{EnrolRequest, RenewRequest};

use crate::Reach;

/// Reads them as the core does. Taken if a request to enrol is whole.
pub fn body(bytes: &[u8]) -> Reach {
    if let Ok(request) = RenewRequest::decode(bytes) {
        is_whole(&request.site, (&request.agent, &request.authority));
    }
    let Ok(request) = EnrolRequest::decode(bytes) else { return Reach::Refused };
    let is_whole = is_whole(&request.site, (&request.agent, &request.authority));
    Reach::of(is_whole && TokenSecret::from_slice(&request.secret).is_some())
}

fn is_whole(site: &str, (agent, authority): (&[u8], &[u8])) -> bool {
    let proven = [agent, authority].map(is_proven);
    SiteId::new(site).is_ok_and(|read| read.as_str() == site) && proven == [true, true]
}

/// A key is proven by a request that holds it.
fn is_proven(request: &[u8]) -> bool {
    // Where a certificate is expected, a peer may send one as well as the other.
    let _read_without_a_panic = Certificate::from_der(request);
    let Ok(proven) = csr::verify(request) else { return false };
    let key = proven.public().to_spki();
    assert!(request.windows(key.len()).any(|window| window == key), "a key that is not in the request");
    true
}
