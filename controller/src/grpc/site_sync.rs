//! `SiteSync`: what sites ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::{Digest, Epoch, Generation, SiteId};
use skerry_core::pace::Pace;
use skerry_proto::v1::site_sync_server::SiteSync;
use skerry_proto::v1::{
    Hello, PullRequest, PullResponse, ReportRequest, ReportResponse, SyncRequest, sync_request::Message,
};
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

use super::Core;
use super::failure::Failure;
use super::incoming::Handshake;
use super::reports::Intake;
use super::stream::{self, Line, SyncStream};
use super::trust::{self, TrustLine};
use super::who::Who;
use crate::admission::Way;
use crate::clock::Moment;
use crate::epoch::{self, Finding, Place};
use crate::presence::claim::{Boot, Claimant};
use crate::presence::{Connection, Presence, TurnedAway};
use crate::publish::{Lookup, Published};
use crate::session::{Greeting, Refusal, Session};
use crate::store::StateStore;

/// How long a site is kept waiting that comes before the source was read: less than the 20 s that an agent
/// waits for the first word.
const SOURCE_WAIT: Duration = Duration::from_secs(15);

/// The service.
#[derive(Debug)]
pub(super) struct SiteSyncService<S>(pub(super) Arc<Core<S>>);

#[tonic::async_trait]
impl<S: StateStore> SiteSync for SiteSyncService<S> {
    type SyncStream = SyncStream;

    async fn sync(&self, request: Request<Streaming<SyncRequest>>) -> Result<Response<SyncStream>, Status> {
        let core = &self.0;
        let handshake = Handshake::of(&request);
        let peer = handshake.as_ref().and_then(Handshake::peer);
        let mut incoming = request.into_inner();
        let hello = tokio::time::timeout(core.room.limits.handshake_deadline, incoming.message()).await;
        if let Some(handshake) = &handshake {
            handshake.end();
        }
        let hello = to_hello(hello.map_err(|_| Failure::Silent)??)?;
        core.check_site(handshake.as_ref(), &hello.site)?;
        let place = match core.room.places.stream() {
            Ok(place) => place,
            Err(seconds) => return Ok(Response::new(stream::come_back(seconds))),
        };
        core.await_source(&hello).await.map_err(|failure| core.turn_away(&hello, peer, failure))?;
        core.note_stranger(&hello, peer);
        let by = claimant(&hello, peer, &core.published);
        let greeted = greet(&hello, by, &core.published, &core.presence, core.clock.moment());
        let (mut session, connection) = greeted.map_err(Failure::from)?;
        let Some(connection) = connection else {
            return Ok(Response::new(stream::once(session.poll_response(&core.published, 0))));
        };
        if let Some(handshake) = handshake {
            connection.set_cut(handshake.cut());
        }
        let places = &core.room.places;
        let bundle = match session.is_starting_anew().then(|| places.bundle(Way::Stream)).transpose() {
            Ok(bundle) => bundle,
            Err(seconds) => return Ok(Response::new(stream::come_back(seconds))),
        };
        let core = Arc::clone(core);
        let trust = TrustLine::new(&core.desk, session.site(), hello.trust_version);
        let intake = Intake::new(hello.boot);
        let line = Line { core, session, incoming, connection, intake, news: None, trust, bundle, place };
        Ok(Response::new(line.into_stream()))
    }

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        let handshake = Handshake::of(&request);
        let request = Handshake::finish(request)?.into_inner();
        let peer = handshake.as_ref().and_then(Handshake::peer);
        let site = request.hello.as_ref().map_or("", |hello| &hello.site);
        self.0.check_site(handshake.as_ref(), site)?;
        let visit = handshake.as_ref().map(Handshake::visit).unwrap_or_default();
        let mut visit = visit.lock().await;
        let mut response = self.0.pull(&request, peer, &mut visit).await?;
        if let Some(hello) = &request.hello {
            let site = SiteId::new(&*hello.site).map_err(Failure::from)?;
            response.trust = trust::answer(&self.0.desk, &site, hello.trust_version);
        }
        Ok(Response::new(response))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let handshake = Handshake::of(&request);
        let request = Handshake::finish(request)?.into_inner();
        self.0.check_site(handshake.as_ref(), &request.site)?;
        let batch = self.0.to_batch(request)?;
        self.0.presence.touch(&batch.site, self.0.clock.moment());
        let acknowledged = self.0.reports.keep(batch).await.map_err(Failure::from)?;
        Ok(Response::new(ReportResponse { acknowledged }))
    }
}

impl<S: StateStore> Core<S> {
    /// Says whether a connection's other end may speak for a site.
    fn check_site(&self, handshake: Option<&Handshake>, site: &str) -> Result<(), Failure> {
        let who = handshake.map_or(&Who::Stranger, Handshake::who);
        let peer = handshake.and_then(Handshake::peer);
        who.check_site(&SiteId::new(site)?, peer, &self.desk)
    }

    /// Notes an agent that cannot be talked to where people look.
    pub(super) fn turn_away(&self, hello: &Hello, peer: Option<SocketAddr>, failure: Failure) -> Failure {
        if let Failure::Refused(refusal) = &failure
            && let Ok(site) = SiteId::new(&*hello.site)
            && is_known(&site, &self.published)
        {
            warn!(%site, ?peer, "an agent cannot be talked to: {refusal}");
            let turned_away = TurnedAway { peer, reason: refusal.to_string(), last: self.clock.moment() };
            self.presence.turn_away(&site, turned_away);
        }
        failure
    }

    /// Notes an agent whose site is not in the policy repository where people look.
    pub(super) fn note_stranger(&self, hello: &Hello, peer: Option<SocketAddr>) {
        if let Ok(site) = SiteId::new(&*hello.site)
            && matches!(self.published.lookup(&site), Lookup::Unknown)
        {
            self.presence.note_stranger(site, peer, self.clock.moment());
        }
    }

    /// Gets ready to answer a hello: begins an epoch when the store turns out to be an older copy, and
    /// waits for the source when that was not read yet and there is nothing to say without it.
    ///
    /// Whose site is not in the repository begins none: it may be enrolled at another core, and is no witness of this
    /// one's store. A store that was lost knows no site before the source was read.
    pub(super) async fn await_source(&self, hello: &Hello) -> Result<(), Failure> {
        let greeting = Greeting::of(hello)?;
        if let Lookup::Starting(None) = self.published.lookup(&greeting.site) {
            self.compiled().await;
        }
        if is_known(&greeting.site, &self.published) {
            self.check_place(&greeting, hello).await?;
        }
        let is_current = |newest: Digest| greeting.runs == Some(newest.prefix());
        if let Lookup::Starting(Some(newest)) = self.published.lookup(&greeting.site)
            && !is_current(newest)
        {
            self.compiled().await;
        }
        Ok(())
    }

    /// Waits for the source. At the end of it the site is told to come back.
    async fn compiled(&self) {
        let compiled = tokio::time::timeout(SOURCE_WAIT, self.published.compiled());
        self.cancel.run_until_cancelled(compiled).await;
    }

    /// Begins an epoch if a site accepted what this store never gave it.
    async fn check_place(&self, greeting: &Greeting, hello: &Hello) -> Result<(), Failure> {
        let site = &greeting.site;
        let accepted = Place { epoch: Epoch(hello.epoch), generation: Generation(hello.generation) };
        let named = epoch::Named { place: accepted, manifest: greeting.accepted };
        // What it shall run is read after the hello, and only rises.
        let is_given =
            || epoch::is_given(&named, self.published.given(), self.published.named(site).as_ref());
        if is_given() {
            return Ok(());
        }
        let mut begun = self.room.epochs.lock().await;
        if is_given() {
            return Ok(());
        }
        match epoch::judge(accepted, *begun, self.clock.now()) {
            Finding::Absurd => warn!(%site, ?accepted, "a site accepted what no core of this fleet gave"),
            Finding::SetBack(next) => {
                let store = Arc::clone(&self.store);
                let kept = tokio::task::spawn_blocking(move || store.keep_epoch(next)).await;
                kept.map_err(|_| Failure::Stopping)??;
                *begun += 1;
                self.published.begin(next);
                self.presence.wake_those(|_| true);
                warn!(
                    %site, ?accepted, epoch = next.0,
                    "the state store is older than what sites run: a new epoch begins, and sites follow it"
                );
            }
        }
        Ok(())
    }
}

/// Begins a session, and registers it if it goes on: else there is no connection, and one last word.
fn greet(
    hello: &Hello,
    by: Claimant,
    published: &Published,
    presence: &Arc<Presence>,
    now: Moment,
) -> Result<(Session, Option<Connection>), Refusal> {
    let mut session = Session::handle_hello(hello, published)?;
    if session.is_ending() {
        if is_known(session.site(), published) {
            presence.touch(session.site(), now);
        }
        return Ok((session, None));
    }
    match presence.connect(session.site(), by, now) {
        Ok(connection) => {
            // What was published since the hello was looked at has woken nobody.
            session.handle_published();
            Ok((session, Some(connection)))
        }
        Err(fenced) => {
            warn!(site = %session.site(), peer = ?by.peer, "sent away: {}", fenced.reason);
            session.handle_stop(fenced.seconds, &fenced.reason);
            Ok((session, None))
        }
    }
}

pub(super) fn claimant(hello: &Hello, peer: Option<SocketAddr>, published: &Published) -> Claimant {
    let pace = SiteId::new(&*hello.site).map_or_else(|_| Pace::default(), |site| published.pace(&site));
    Claimant { boot: Boot::of(&hello.boot), attempt: hello.attempt, peer, pace }
}

/// Says whether a site is one of the repository: anybody may claim a name.
pub(super) fn is_known(site: &SiteId, published: &Published) -> bool {
    !matches!(published.lookup(site), Lookup::Unknown | Lookup::Starting(None))
}

fn to_hello(first: Option<SyncRequest>) -> Result<Hello, Failure> {
    match first.and_then(|request| request.message) {
        Some(Message::Hello(hello)) => Ok(hello),
        _ => Err(Refusal::Malformed("the first message is not `hello`".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests;
