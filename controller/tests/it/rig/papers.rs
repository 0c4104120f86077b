//! Connections to a core: as an operator, and as the agents of sites that were enrolled with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use skerry_core::id::Timestamp;
use skerry_identity::certificate::Certificate;
use skerry_identity::csr;
use skerry_identity::key::EcdsaKey;
use skerry_identity::operator::OperatorCredentials;
use skerry_identity::token::JoinToken;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Verifier, client_config, credentials};
use skerry_proto::tls::Connector;
use skerry_proto::v1::enrolment_client::EnrolmentClient;
use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::{CreateOperatorRequest, CreateTokenRequest, EnrolRequest};
use tonic::transport::{Channel, Endpoint};

/// A clock that shows 1970: whatever the core's shows, its certificate is later.
#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::ZERO))
    }
}

/// The boxes of sites, over all lives of their core.
#[derive(Default)]
pub(crate) struct Papers {
    boxes: Mutex<BTreeMap<String, (EcdsaKey, Certificate)>>,
}

fn anchors(data: &Path) -> (OperatorCredentials, Anchors) {
    let file = fs_err::read(data.join("operator.json")).expect("the core has written it");
    let operator = OperatorCredentials::from_json(&file).expect("it can be read");
    let anchors = Anchors { mesh: operator.mesh.clone(), roots: operator.roots.clone() };
    (operator, anchors)
}

fn channel(address: SocketAddr, anchors: Anchors, own: Option<(&Certificate, &EcdsaKey)>) -> Channel {
    channel_with(address, config(anchors, own))
}

fn config(anchors: Anchors, own: Option<(&Certificate, &EcdsaKey)>) -> Arc<ClientConfig> {
    let own = own.map(|(certificate, key)| credentials([certificate], key).expect("a key"));
    let config = client_config(Verifier::core(anchors, || Timestamp(0), |_| {}), own, Arc::new(Stopped));
    Arc::new(config.expect("TLS"))
}

/// A connection of whoever has what TLS goes on from.
pub(crate) fn channel_with(address: SocketAddr, config: Arc<ClientConfig>) -> Channel {
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address is a URL");
    endpoint.connect_with_connector_lazy(Connector::new(config))
}

/// A connection of an operator.
pub(crate) fn operator(address: SocketAddr, data: &Path) -> Channel {
    let (operator, anchors) = anchors(data);
    channel(address, anchors, Some((&operator.certificate, &operator.key)))
}

/// A connection of an operator who may look and change nothing.
pub(crate) async fn viewer(address: SocketAddr, data: &Path) -> Channel {
    let key = EcdsaKey::generate().expect("a key");
    let request = CreateOperatorRequest {
        name: "viewer".to_owned(),
        request: csr::create(&key).expect("a request"),
        read_only: true,
        ..CreateOperatorRequest::default()
    };
    let made = FleetClient::new(operator(address, data)).create_operator(request).await.expect("credentials");
    let certificate = Certificate::from_der(&made.into_inner().certificate).expect("a certificate");
    channel(address, anchors(data).1, Some((&certificate, &key)))
}

/// A connection of somebody who shows nothing.
pub(crate) fn stranger(address: SocketAddr, data: &Path) -> Channel {
    channel(address, anchors(data).1, None)
}

impl Papers {
    /// A connection of a site's agent, which is enrolled if it is not yet.
    pub(crate) async fn agent(&self, site: &str, address: SocketAddr, data: &Path) -> Channel {
        if !self.boxes.lock().contains_key(site) {
            let enrolled = enrol(site, address, data).await;
            self.boxes.lock().insert(site.to_owned(), enrolled);
        }
        channel_with(address, self.agent_config(site, data))
    }

    /// What the agent of a site that is enrolled goes on from.
    pub(crate) fn agent_config(&self, site: &str, data: &Path) -> Arc<ClientConfig> {
        let boxes = self.boxes.lock();
        let (key, certificate) = &boxes[site];
        config(anchors(data).1, Some((certificate, key)))
    }
}

async fn enrol(site: &str, address: SocketAddr, data: &Path) -> (EcdsaKey, Certificate) {
    let request = CreateTokenRequest { site: site.to_owned(), ..CreateTokenRequest::default() };
    let made = FleetClient::new(operator(address, data)).create_token(request).await.expect("a token");
    let token: JoinToken = made.into_inner().token.parse().expect("it is one");
    let (key, below) = (EcdsaKey::generate().expect("a key"), EcdsaKey::generate().expect("a key"));
    let request = EnrolRequest {
        site: site.to_owned(),
        secret: token.secret.as_bytes().to_vec(),
        agent: csr::create(&key).expect("a request"),
        authority: csr::create(&below).expect("a request"),
    };
    let answer = EnrolmentClient::new(stranger(address, data)).enrol(request).await.expect("it is enrolled");
    let given = answer.into_inner().credentials.expect("it is given something");
    (key, Certificate::from_der(&given.agent).expect("a certificate"))
}
