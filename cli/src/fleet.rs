//! Asks a core: connects, waits with a deadline, and turns refusals into errors with a kind.
//!
//! What an answer means is `state`'s and `view`'s part.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider as _};
use skerry_core::id::Timestamp;
use skerry_identity::ceremony::MAX_REQUESTS;
use skerry_identity::operator::OperatorCredentials;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{self, Verifier};

use skerry_proto::limits::MAX_MESSAGE_BYTES;
use skerry_proto::tls::{Connector, NOT_KNOWN_HERE, is_core_url};
use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::{
    AttachPolicyRequest, AttachPolicyResponse, ConfirmSourceRequest, CreateOperatorRequest,
    CreateOperatorResponse, CreateTokenRequest, CreateTokenResponse, DeliverAuthoritiesRequest,
    DeliverAuthoritiesResponse, FleetStatus, GetFleetRequest, GetSiteRequest, GetTrustRequest,
    GetTrustResponse, GetTrustRootRequest, ListOperatorsRequest, ListOperatorsResponse,
    ListSigningRequestsRequest, ListSigningRequestsResponse, PolicySignatures, RevokeOperatorRequest,
    RevokeSiteRequest, RevokeSiteResponse, RotateKeyRequest, RotateKeyResponse, SetPolicyKeysRequest,
    SignedAuthority, SiteDetail,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::error::{CliError, ErrorKind};

pub mod astray;
pub mod counted;
pub mod problem;
pub mod runway;
pub mod state;
pub mod stranger;
pub mod trust;
pub mod view;

/// How long a core may take to answer a question, and to be connected to.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a core may take to carry out a confirmation: it may have to end a fetch first, for which it allows a minute
/// unless told otherwise, and to read the files of a whole repository.
const CARRY_OUT: Duration = Duration::from_secs(120);

/// How many certificates are delivered at a time: each is a write to the core's disk.
const DELIVERED_AT_ONCE: usize = 200;

/// How many sites are asked for at a time.
const PAGE: u32 = 1000;

/// A core.
#[derive(Debug)]
pub struct Fleet {
    runtime: Runtime,
    client: FleetClient<Channel>,
    url: String,
}

impl Fleet {
    /// Prepares to ask; the first question connects.
    pub fn at(url: &str, credentials: &OperatorCredentials) -> Result<Self, CliError> {
        let usage = |message: String| {
            CliError::new(ErrorKind::Usage, message)
                .hint("write it as `https://HOST:PORT`, in `--core` or SKERRY_CORE")
        };
        if !is_core_url(url) {
            return Err(usage(format!("`{url}` is not the URL of a core")));
        }
        let endpoint = Endpoint::from_shared(url.to_owned());
        let endpoint = endpoint.map_err(|_| usage(format!("`{url}` is not the URL of a core")))?;
        let tls = tls(credentials).map_err(|error| CliError::internal(format!("no TLS: {error}")))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CliError::internal(format!("no async runtime: {error}")))?;
        let channel = {
            let _entered = runtime.enter();
            endpoint.connect_timeout(DEADLINE).connect_with_connector_lazy(Connector::new(tls))
        };
        let client = FleetClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { runtime, client, url: url.to_owned() })
    }

    /// Where the core is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has a join token made.
    pub fn create_token(&mut self, request: CreateTokenRequest) -> Result<CreateTokenResponse, CliError> {
        self.ask(async |client| client.create_token(request).await)
    }

    /// Revokes a site.
    pub fn revoke_site(&mut self, site: &str) -> Result<RevokeSiteResponse, CliError> {
        let request = RevokeSiteRequest { site: site.to_owned() };
        self.ask(async |client| client.revoke_site(request).await)
    }

    /// Asks for the core's keys.
    pub fn trust(&mut self) -> Result<GetTrustResponse, CliError> {
        self.ask(async |client| client.get_trust(GetTrustRequest {}).await)
    }

    /// Has the next step of a rotation taken.
    pub fn rotate_key(&mut self, request: RotateKeyRequest) -> Result<RotateKeyResponse, CliError> {
        let answer = self.ask(async |client| client.rotate_key(request).await);
        answer.map_err(|error| match error.kind {
            // Nothing is known of what was sent.
            ErrorKind::Unreachable => {
                error.hint("the step may have been taken all the same: `skerry trust show` says so")
            }
            _ => error,
        })
    }

    /// Hands policy signatures over.
    pub fn attach_policy(&mut self, part: PolicySignatures) -> Result<AttachPolicyResponse, CliError> {
        let request = AttachPolicyRequest { signatures: Some(part) };
        self.ask(async |client| client.attach_policy(request).await)
    }

    /// Asks for the newest trust root: a DSSE envelope in JSON.
    pub fn trust_root(&mut self) -> Result<String, CliError> {
        let answer = self.ask(async |client| client.get_trust_root(GetTrustRootRequest {}).await);
        answer.map(|answer| answer.trust_root)
    }

    /// Has the next trust root put into force; returns what is in force then.
    pub fn set_policy_keys(&mut self, trust_root: String) -> Result<String, CliError> {
        let request = SetPolicyKeysRequest { trust_root };
        let answer = self.ask(async |client| client.set_policy_keys(request).await);
        answer.map(|answer| answer.trust_root)
    }

    /// Has an operator's key signed.
    pub fn create_operator(
        &mut self,
        request: CreateOperatorRequest,
    ) -> Result<CreateOperatorResponse, CliError> {
        self.ask(async |client| client.create_operator(request).await)
    }

    /// Asks who may ask.
    pub fn operators(&mut self) -> Result<ListOperatorsResponse, CliError> {
        self.ask(async |client| client.list_operators(ListOperatorsRequest {}).await)
    }

    /// Revokes an operator; returns how many keys that were.
    pub fn revoke_operator(&mut self, name: &str) -> Result<u32, CliError> {
        let request = RevokeOperatorRequest { name: name.to_owned() };
        let answer = self.ask(async |client| client.revoke_operator(request).await);
        answer.map(|answer| answer.keys).map_err(|error| match error.kind {
            ErrorKind::NotFound => {
                CliError::new(error.kind, error.message).hint("`skerry operator list` lists all of them")
            }
            _ => error,
        })
    }

    /// Asks for all that waits for an offline root.
    pub fn signing_requests(&mut self) -> Result<ListSigningRequestsResponse, CliError> {
        let mut whole = ListSigningRequestsResponse::default();
        let mut after = String::new();
        loop {
            let request = ListSigningRequestsRequest { after: after.clone() };
            let page = self.ask(async |client| client.list_signing_requests(request).await)?;
            whole.requests.extend(page.requests);
            (whole.mesh, whole.root) = (page.mesh, page.root);
            // A file of the ceremony has an end; what is beyond it comes with the next.
            whole.requests.truncate(MAX_REQUESTS);
            if page.more_after <= after || whole.requests.len() == MAX_REQUESTS {
                return Ok(whole);
            }
            after = page.more_after;
        }
    }

    /// Brings what an offline root has signed.
    pub fn deliver_authorities(
        &mut self,
        authorities: &[SignedAuthority],
        (mesh, root): (&MeshDomain, &Thumbprint),
    ) -> Result<DeliverAuthoritiesResponse, CliError> {
        let mut whole = DeliverAuthoritiesResponse::default();
        for batch in authorities.chunks(DELIVERED_AT_ONCE) {
            let (mesh, root) = (mesh.as_str().to_owned(), root.as_bytes().to_vec());
            let request = DeliverAuthoritiesRequest { authorities: batch.to_vec(), mesh, root };
            let answer =
                self.ask_within(CARRY_OUT, async |client| client.deliver_authorities(request).await)?;
            whole.taken += answer.taken;
            whole.refused.extend(answer.refused);
        }
        Ok(whole)
    }

    /// Asks for the source and all sites that a selector matches; an empty one matches all.
    pub fn status(&mut self, selector: &str) -> Result<FleetStatus, CliError> {
        let mut whole = FleetStatus::default();
        let mut after = String::new();
        loop {
            let request =
                GetFleetRequest { selector: selector.to_owned(), limit: PAGE, after: after.clone() };
            let page = self.ask(async |client| client.get_fleet(request).await)?;
            whole.source = page.source;
            whole.now_ms = page.now_ms;
            whole.strangers = page.strangers;
            let last = page.sites.last().map(|site| site.site.clone());
            whole.sites.extend(page.sites);
            match last {
                // A core that names no further site has none.
                Some(last) if page.more && last > after => after = last,
                _ => return Ok(whole),
            }
        }
    }

    /// Asks for the source alone.
    pub fn source(&mut self) -> Result<FleetStatus, CliError> {
        let request = GetFleetRequest { limit: 1, ..GetFleetRequest::default() };
        self.ask(async |client| client.get_fleet(request).await)
    }

    /// Asks for one site.
    pub fn site(&mut self, name: &str) -> Result<SiteDetail, CliError> {
        let request = GetSiteRequest { site: name.to_owned() };
        self.ask(async |client| client.get_site(request).await)
    }

    /// Accepts a held head.
    pub fn confirm_source(&mut self, revision: &str) -> Result<(), CliError> {
        self.confirm_within(CARRY_OUT, revision)
    }

    fn confirm_within(&mut self, limit: Duration, revision: &str) -> Result<(), CliError> {
        let request = ConfirmSourceRequest { revision: revision.to_owned() };
        let answer = self.ask_within(limit, async |client| client.confirm_source(request).await);
        answer.map(drop).map_err(|error| match error.kind {
            // Nothing is known of what was sent: the core carries out what it has taken, whoever listens.
            ErrorKind::Unreachable => {
                error.hint("the confirmation may still be carried out: `skerry source get` shows it")
            }
            _ => error,
        })
    }

    fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut FleetClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        self.ask_within(DEADLINE, question)
    }

    fn ask_within<T>(
        &mut self,
        limit: Duration,
        question: impl AsyncFnOnce(&mut FleetClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let client = &mut self.client;
        match self.runtime.block_on(async { timeout(limit, question(client)).await }) {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(to_error(&status, &self.url)),
            Err(_) => Err(late(&self.url, limit)),
        }
    }
}

/// TLS of an operator: the core is known by its key, by the clock of this machine.
fn tls(credentials: &OperatorCredentials) -> Result<Arc<ClientConfig>, Box<dyn std::error::Error>> {
    let own = tls::credentials([&credentials.certificate], &credentials.key)?;
    let anchors = Anchors { mesh: credentials.mesh.clone(), roots: credentials.roots.clone() };
    let time = DefaultTimeProvider;
    let wall = || Timestamp(DefaultTimeProvider.current_time().map_or(0, |now| now.as_secs() * 1000));
    let verifier = Verifier::core(anchors, wall, |_| {});
    Ok(Arc::new(tls::client_config(verifier, Some(own), Arc::new(time))?))
}

fn late(url: &str, limit: Duration) -> CliError {
    let message = format!("the core at {url} did not answer within {} s", limit.as_secs());
    CliError::new(ErrorKind::Unreachable, message).hint("try again; its log says what it is busy with")
}

/// What would help who is not known.
const OTHER_CREDENTIALS: &str = "they have ended, or are of another core: take `operator.json` of its data folder anew, or ask for \
                                 others, `skerry operator create`";

/// How tonic begins its words on an answer that is HTTP and no gRPC.
const NO_GRPC: &str = "grpc-status header missing";

fn no_core(url: &str) -> CliError {
    CliError::new(ErrorKind::Unreachable, format!("what answers at {url} is no core")).hint(
        "name the address of `skerry-controller --listen`; that of `--webhook-listen` is for push notifications",
    )
}

/// Says whether an error of the connection is, at its root, this one.
fn caused_by(status: &Status, words: &str) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.to_string().contains(words) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn to_error(status: &Status, url: &str) -> CliError {
    let message = status.message();
    // What the core itself has said comes of no other error.
    let is_said = std::error::Error::source(status).is_none() && !message.is_empty();
    match status.code() {
        _ if message.starts_with(NO_GRPC) || caused_by(status, "does not speak TLS") => no_core(url),
        Code::Unavailable | Code::Unknown if caused_by(status, NOT_KNOWN_HERE) => CliError::new(
            ErrorKind::Unreachable,
            format!("what answers at {url} is not the core of your credentials"),
        )
        .hint("take `operator.json` of the data folder of the core that you mean")
        .hint("or its link root was rotated: have other credentials made, `skerry operator create`"),
        Code::Unavailable | Code::Unknown if caused_by(status, "received fatal alert") => {
            CliError::new(ErrorKind::Refused, format!("the core at {url} does not take your credentials"))
                .hint(OTHER_CREDENTIALS)
        }
        Code::Unavailable | Code::DeadlineExceeded if is_said => {
            CliError::new(ErrorKind::Unreachable, format!("the core cannot answer now: {message}"))
                .hint("try again in a while; its log says more")
        }
        Code::Unavailable | Code::Cancelled => {
            CliError::new(ErrorKind::Unreachable, format!("no core answers at {url}"))
                .hint("see that `skerry-controller` runs; name another with `--core` or SKERRY_CORE")
        }
        Code::DeadlineExceeded => late(url, DEADLINE),
        Code::NotFound => {
            CliError::new(ErrorKind::NotFound, message).hint("`skerry site get` lists all sites")
        }
        Code::Unimplemented => {
            CliError::new(ErrorKind::Refused, format!("the core at {url} does not know this request"))
                .hint("`skerry` and the core are of different versions: use those of one release")
        }
        Code::Unknown | Code::Internal if std::error::Error::source(status).is_some() => no_core(url),
        Code::InvalidArgument => CliError::new(ErrorKind::Usage, message),
        code => {
            let message = if message.is_empty() { code.description() } else { message };
            CliError::new(ErrorKind::Refused, format!("the core refused: {message}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core that takes the connection, and says nothing.
    #[test]
    fn a_confirmation_without_an_answer_may_still_be_carried_out() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", silent.local_addr().unwrap());
        let error = Fleet::at(&url, &crate::args::core::some())
            .unwrap()
            .confirm_within(Duration::ZERO, "1a2b3c4d")
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.contains("did not answer within 0 s"), "{error:?}");
        assert!(error.hints[1].contains("may still be carried out"), "{error:?}");
    }

    #[test]
    fn what_the_core_says_is_not_lost() {
        let said = to_error(&Status::unavailable("the disk is full"), "http://core");
        assert_eq!(
            (said.kind, said.message.as_str()),
            (ErrorKind::Unreachable, "the core cannot answer now: the disk is full")
        );
    }
}
