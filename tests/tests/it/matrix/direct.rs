//! Callers without a proxy: a certificate by the site's authority, and TLS of their own. Which also checks who answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Empty};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider as _};
use skerry_agent::enrolment::Enrolment;
use skerry_core::id::Timestamp;
use skerry_identity::ca::Svid;
use skerry_identity::lifetimes::Validity;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Verifier, client_config, credentials};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::boutique::NAMESPACE;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes certificates as the agent of a site does.
pub(super) struct Authority(Enrolment);

impl Authority {
    /// That of the site whose data folder this is.
    pub(super) fn of(data: &std::path::Path) -> Self {
        let enrolment = Enrolment::load(&data.join("identity.json")).expect("it can be read");
        Self(enrolment.expect("the site is enrolled"))
    }

    /// A certificate for an account.
    pub(super) fn mint(&self, account: &str) -> Svid {
        let now = DefaultTimeProvider.current_time().expect("there is a clock").as_secs();
        let hour = Validity::starting(Timestamp(now * 1000), Duration::from_secs(3600));
        self.0.authority.mint(NAMESPACE, account, &hour).expect("it can be signed")
    }

    /// Asks for `/` over mutual TLS; the other end has to be this account.
    pub(super) async fn ask(&self, own: &Svid, to: SocketAddr, account: &str) -> Result<StatusCode> {
        let connector = TlsConnector::from(Arc::new(self.config(own, account)?));
        tokio::time::timeout(PATIENCE, exchange(connector, to)).await.context("no answer")?
    }

    fn config(&self, own: &Svid, account: &str) -> Result<ClientConfig> {
        let anchors = Anchors { mesh: self.0.mesh().clone(), roots: self.0.mesh_roots.clone() };
        let path = format!("/ns/{NAMESPACE}/sa/{account}");
        let is_callee =
            Verifier::svid(anchors, BTreeSet::new(), move |svid| svid.id.to_string().ends_with(&path));
        let shown = credentials(&own.chain, &own.key)?;
        let mut config = client_config(is_callee, Some(shown), Arc::new(DefaultTimeProvider))?;
        // HTTP/1.1, and bytes.
        config.alpn_protocols.clear();
        Ok(config)
    }
}

async fn exchange(connector: TlsConnector, to: SocketAddr) -> Result<StatusCode> {
    let stream = TcpStream::connect(to).await?;
    let stream = connector.connect(ServerName::from(to.ip()), stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let request = hyper::Request::get("/").header("host", "test").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        anyhow::Ok(status)
    };
    // An end without a word of TLS, after the answer, is none of ours.
    let (status, _ended) = tokio::join!(exchange, connection);
    status
}
