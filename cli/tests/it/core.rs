//! A core in this process that answers what it was told to answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skerry_identity::csr::{self, ProvenKey};
use skerry_identity::key::EcdsaKey;
use skerry_identity::operator::OperatorCredentials;
use skerry_proto::v1::fleet_server::{Fleet, FleetServer};
use skerry_proto::v1::{
    AttachPolicyRequest, AttachPolicyResponse, ConfirmSourceRequest, ConfirmSourceResponse,
    CreateOperatorRequest, CreateOperatorResponse, CreateTokenRequest, CreateTokenResponse,
    DeliverAuthoritiesRequest, DeliverAuthoritiesResponse, FleetStatus, GetFleetRequest, GetSiteRequest,
    GetTrustRequest, GetTrustResponse, GetTrustRootRequest, ListOperatorsRequest, ListOperatorsResponse,
    ListSigningRequestsRequest, ListSigningRequestsResponse, OperatorRow, RevokeOperatorRequest,
    RevokeOperatorResponse, RevokeSiteRequest, RevokeSiteResponse, RotateKeyRequest, RotateKeyResponse,
    SetPolicyKeysRequest, SiteDetail, SourceStatus, TrustRootResponse, Undelivered,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

#[path = "../../../tests/shared/tls_core.rs"]
mod tls_core;

/// What the core knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) fleet: FleetStatus,
    pub(crate) sites: Vec<SiteDetail>,
    pub(crate) trust: GetTrustResponse,
    pub(crate) rotated: RotateKeyResponse,
    /// Its trust root: a DSSE envelope in JSON.
    pub(crate) trust_root: String,
    /// What waits for an offline root.
    pub(crate) waiting: ListSigningRequestsResponse,
    /// Answers every question with this.
    pub(crate) refusal: Option<Status>,
}

/// A core; it ends with the test.
pub(crate) struct Core {
    _runtime: Runtime,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    papers: Papers,
}

/// Credentials of an operator in a file.
pub(crate) struct Papers(tempfile::NamedTempFile);

impl Papers {
    /// For the core of a URL.
    pub(crate) fn new(core: &str) -> Self {
        let key = EcdsaKey::generate().unwrap();
        let validity = tls_core::lasting(Duration::from_secs(3_600));
        let certificate =
            tls_core::AUTHORITY.sign_operator("ada", &ProvenKey::from(&key), &validity).unwrap();
        let (core, mesh, roots) = (core.to_owned(), tls_core::mesh(), tls_core::anchors().roots);
        let credentials = OperatorCredentials { core, mesh, certificate, key, roots };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&credentials.to_json().unwrap()).unwrap();
        Self(file)
    }

    /// The arguments with which `skerry` shows them.
    pub(crate) fn arguments(&self) -> [&str; 2] {
        ["--credentials", self.0.path().to_str().unwrap()]
    }
}

impl Core {
    /// Starts a core on a free port.
    pub(crate) fn knowing(known: Known) -> Self {
        let runtime = Runtime::new().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let service = FleetServer::new(Answers { known, asked: Arc::clone(&asked) });
        let incoming = {
            let _entered = runtime.enter();
            tls_core::accept(listener)
        };
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { _runtime: runtime, address, asked, papers: Papers::new(&format!("https://{address}")) }
    }

    /// The arguments with which `skerry` asks it.
    pub(crate) fn arguments(&self) -> [&str; 2] {
        self.papers.arguments()
    }

    /// The file of an operator's credentials for it.
    pub(crate) fn credentials(&self) -> &Path {
        self.papers.0.path()
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lists what it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Answers {
    known: Known,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    fn note(&self, question: String) -> Result<(), Status> {
        self.asked.lock().unwrap().push(question);
        self.known.refusal.clone().map_or(Ok(()), Err)
    }
}

#[tonic::async_trait]
impl Fleet for Answers {
    /// Pages hold two sites at most.
    async fn get_fleet(&self, request: Request<GetFleetRequest>) -> Result<Response<FleetStatus>, Status> {
        let GetFleetRequest { selector, after, .. } = request.into_inner();
        self.note(format!("fleet `{selector}` after `{after}`"))?;
        let mut answer = self.known.fleet.clone();
        answer.sites.retain(|site| site.site > after);
        answer.more = answer.sites.len() > 2;
        answer.sites.truncate(2);
        Ok(Response::new(answer))
    }

    async fn get_site(&self, request: Request<GetSiteRequest>) -> Result<Response<SiteDetail>, Status> {
        let name = request.into_inner().site;
        self.note(format!("site `{name}`"))?;
        let found =
            self.known.sites.iter().find(|site| site.summary.as_ref().is_some_and(|row| row.site == name));
        let missing = || Status::not_found(format!("there is no site `{name}`"));
        found.cloned().map(Response::new).ok_or_else(missing)
    }

    async fn confirm_source(
        &self,
        request: Request<ConfirmSourceRequest>,
    ) -> Result<Response<ConfirmSourceResponse>, Status> {
        self.note(format!("confirm `{}`", request.into_inner().revision))?;
        Ok(Response::new(ConfirmSourceResponse {}))
    }

    async fn attach_policy(
        &self,
        request: Request<AttachPolicyRequest>,
    ) -> Result<Response<AttachPolicyResponse>, Status> {
        let signatures = request.into_inner().signatures.unwrap_or_default();
        let sites: Vec<_> = signatures.groups.iter().flat_map(|group| &group.sites).collect();
        let attached = u32::try_from(sites.len()).unwrap();
        self.note(format!("attach number {} for {attached} sites", signatures.number))?;
        Ok(Response::new(AttachPolicyResponse { attached, unknown_sites: 1 }))
    }

    async fn get_trust_root(
        &self,
        _: Request<GetTrustRootRequest>,
    ) -> Result<Response<TrustRootResponse>, Status> {
        self.note("trust root".to_owned())?;
        Ok(Response::new(TrustRootResponse { trust_root: self.known.trust_root.clone() }))
    }

    /// What was set is in force.
    async fn set_policy_keys(
        &self,
        request: Request<SetPolicyKeysRequest>,
    ) -> Result<Response<TrustRootResponse>, Status> {
        let trust_root = request.into_inner().trust_root;
        self.note(format!("policy keys {trust_root}"))?;
        Ok(Response::new(TrustRootResponse { trust_root }))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let CreateTokenRequest { site, life_seconds, core, replace } = request.into_inner();
        self.note(format!("token `{site}` for {life_seconds} s at `{core}` replace={replace}"))?;
        let (token, expires_at_ms) = ("skerry-join.v1.abc".to_owned(), NOW + life_seconds * 1000);
        Ok(Response::new(CreateTokenResponse { token, expires_at_ms, unknown_site: site == "nowhere" }))
    }

    async fn revoke_site(
        &self,
        request: Request<RevokeSiteRequest>,
    ) -> Result<Response<RevokeSiteResponse>, Status> {
        self.note(format!("revoke `{}`", request.into_inner().site))?;
        Ok(Response::new(RevokeSiteResponse { key: vec![0xab; 32], authority_until_ms: NOW }))
    }

    async fn get_trust(&self, _: Request<GetTrustRequest>) -> Result<Response<GetTrustResponse>, Status> {
        self.note("trust".to_owned())?;
        Ok(Response::new(self.known.trust.clone()))
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let request = request.into_inner();
        let (key, step) = (request.key(), request.step());
        let RotateKeyRequest { leave_behind, now, .. } = request;
        self.note(format!("rotate {key:?} step={step:?} leave_behind={leave_behind} now={now}"))?;
        Ok(Response::new(self.known.rotated.clone()))
    }

    async fn create_operator(
        &self,
        request: Request<CreateOperatorRequest>,
    ) -> Result<Response<CreateOperatorResponse>, Status> {
        let CreateOperatorRequest { name, request, life_seconds, read_only } = request.into_inner();
        self.note(format!("operator `{name}` for {life_seconds} s, read_only={read_only}"))?;
        let key = csr::verify(&request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let validity = tls_core::lasting(Duration::from_secs(life_seconds));
        let certificate = tls_core::AUTHORITY.sign_operator(&name, &key, &validity).unwrap();
        let roots = tls_core::anchors().roots.iter().map(|root| root.der().to_vec()).collect();
        let (certificate, mesh) = (certificate.der().to_vec(), tls_core::mesh().as_str().to_owned());
        let read_only = read_only && name != "old-core";
        Ok(Response::new(CreateOperatorResponse { certificate, roots, mesh, read_only }))
    }

    async fn list_operators(
        &self,
        _: Request<ListOperatorsRequest>,
    ) -> Result<Response<ListOperatorsResponse>, Status> {
        self.note("operators".to_owned())?;
        let row = |name: &str, days: u64, by: &str| OperatorRow {
            name: name.to_owned(),
            key: vec![0xab; 32],
            since_ms: NOW - 3_600_000,
            until_ms: NOW - 60_000 + days * 86_400_000,
            by: by.to_owned(),
            is_you: name == "ada",
            is_rotated_out: name == "eve",
            is_read_only: name == "bob",
            is_ending: name == "admin",
        };
        let operators = vec![
            row("ada", 30, "admin"),
            row("admin", 20, "core"),
            row("bob", 0, "ada"),
            row("eve", 9, "ada"),
        ];
        Ok(Response::new(ListOperatorsResponse { operators, now_ms: NOW }))
    }

    async fn revoke_operator(
        &self,
        request: Request<RevokeOperatorRequest>,
    ) -> Result<Response<RevokeOperatorResponse>, Status> {
        let name = request.into_inner().name;
        self.note(format!("revoke operator `{name}`"))?;
        Ok(Response::new(RevokeOperatorResponse { keys: if name == "bob" { 1 } else { 2 } }))
    }

    /// Pages hold one request.
    async fn list_signing_requests(
        &self,
        request: Request<ListSigningRequestsRequest>,
    ) -> Result<Response<ListSigningRequestsResponse>, Status> {
        let after = request.into_inner().after;
        self.note(format!("requests after `{after}`"))?;
        let mut answer = self.known.waiting.clone();
        answer.requests.retain(|request| request.site > after);
        let is_cut = answer.requests.len() > 1;
        answer.requests.truncate(1);
        answer.more_after =
            answer.requests.last().filter(|_| is_cut).map(|last| last.site.clone()).unwrap_or_default();
        Ok(Response::new(answer))
    }

    /// Takes those of sites whose names have no `x`.
    async fn deliver_authorities(
        &self,
        request: Request<DeliverAuthoritiesRequest>,
    ) -> Result<Response<DeliverAuthoritiesResponse>, Status> {
        let DeliverAuthoritiesRequest { authorities, mesh, root } = request.into_inner();
        self.note(format!("deliver {} of mesh `{mesh}`", authorities.len()))?;
        if (&mesh, &root) != (&self.known.waiting.mesh, &self.known.waiting.root) {
            return Err(Status::failed_precondition("it is of another root"));
        }
        let mut answer = DeliverAuthoritiesResponse::default();
        for authority in authorities {
            if authority.site.contains('x') {
                let reason = "it is for another key".to_owned();
                answer.refused.push(Undelivered { site: authority.site, reason });
            } else {
                answer.taken += 1;
            }
        }
        Ok(Response::new(answer))
    }
}

/// The core's clock in tests: milliseconds since 1970.
pub(crate) const NOW: u64 = 1_767_225_600_000;

/// The time so many seconds ago.
pub(crate) fn ago(seconds: u64) -> u64 {
    NOW - seconds * 1000
}

/// A revision of the branch `main`.
pub(crate) fn revision(digit: char) -> String {
    format!("main@sha1:{}", String::from(digit).repeat(40))
}

/// A source that was read a moment ago.
pub(crate) fn source() -> SourceStatus {
    SourceStatus {
        url: "https://git.example/policies.git".to_owned(),
        reference: "main".to_owned(),
        path: "fleet".to_owned(),
        revision: revision('a'),
        compiled_at_ms: ago(300),
        fetched_at_ms: ago(4),
        ..SourceStatus::default()
    }
}
