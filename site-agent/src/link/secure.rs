//! TLS of the link: what the agent shows, and whom it takes for the core.
//!
//! A configuration is kept as long as the enrolment is the same: sessions are resumed from it. The time is the agent's own,
//! never the wall clock's.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use skerry_core::id::Timestamp;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Verifier, client_config, credentials};

use crate::clock::wall_ms;
use crate::enrolment::Enrolment;

/// What a connection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// The agent's certificate.
    Itself,
    /// Nothing: to renew a certificate that may be over.
    Nothing,
}

/// The time by which peers are judged, and what is learned of it from them.
pub trait LinkTime: Send + Sync + std::fmt::Debug + 'static {
    /// Tells the time.
    fn now(&self) -> Timestamp;

    /// The core vouches that it is at least this late.
    fn observe(&self, at: Timestamp);
}

/// Sets up TLS for a site.
///
/// # Errors
/// The provider failed.
pub fn configure(
    enrolment: &Enrolment,
    showing: Showing,
    time: Arc<dyn LinkTime>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let own = match showing {
        Showing::Itself => Some(credentials([&enrolment.agent], &enrolment.agent_key)?),
        Showing::Nothing => None,
    };
    let anchors = Anchors { mesh: enrolment.mesh().clone(), roots: enrolment.link_roots.clone() };
    let observer = Arc::clone(&time);
    let verifier = Verifier::core(anchors, || Timestamp(wall_ms()), move |at| observer.observe(at));
    Ok(Arc::new(client_config(verifier, own, Arc::new(Time(time)))?))
}

#[derive(Debug)]
struct Time(Arc<dyn LinkTime>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}
