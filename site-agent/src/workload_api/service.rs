//! The calls of the Workload API (SPIFFE Workload API §4 and §5).

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{Stream, unfold};
use skerry_proto::spiffe::spiffe_workload_api_server::SpiffeWorkloadApi;
use skerry_proto::spiffe::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest,
    X509svidResponse,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

use crate::identity::Issued;

/// Each call has to carry it (SPIFFE Workload Endpoint §3): a page in a browser, or a proxy that is talked into something,
/// cannot.
const SECURITY_HEADER: &str = "workload.spiffe.io";

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a user's processes are told; `None`: nothing is theirs.
type Tell<T> = fn(&Issued, u32) -> Option<T>;

pub(super) struct WorkloadApi {
    issued: watch::Receiver<Arc<Issued>>,
    cancel: CancellationToken,
}

impl WorkloadApi {
    pub(super) fn new(issued: watch::Receiver<Arc<Issued>>, cancel: CancellationToken) -> Self {
        Self { issued, cancel }
    }

    /// Tells a caller what is theirs, now and whenever it differs; ends when nothing is any more.
    fn stream<R, T: Clone + PartialEq + Send + 'static>(
        &self,
        request: &Request<R>,
        tell: Tell<T>,
    ) -> Result<Response<Responses<T>>, Status> {
        let uid = caller(request)?;
        let mut issued = self.issued.clone();
        let first = tell(&issued.borrow_and_update(), uid).ok_or_else(denied)?;
        let state = (issued, self.cancel.clone(), None::<T>, Some(first));
        let stream = unfold(state, move |(mut issued, cancel, mut said, mut next)| async move {
            loop {
                if let Some(new) = next.take().filter(|new| said.as_ref() != Some(new)) {
                    said = Some(new.clone());
                    return Some((Ok(new), (issued, cancel, said, None)));
                }
                said.as_ref()?;
                cancel.run_until_cancelled(issued.changed()).await?.ok()?;
                next = tell(&issued.borrow_and_update(), uid);
                if next.is_none() {
                    return Some((Err(denied()), (issued, cancel, None, None)));
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Who calls, as the kernel has it.
fn caller<R>(request: &Request<R>) -> Result<u32, Status> {
    let header = request.metadata().get(SECURITY_HEADER);
    if header.is_none_or(|value| value.as_bytes() != b"true") {
        return Err(Status::invalid_argument(format!("the call lacks the header `{SECURITY_HEADER}: true`")));
    }
    let info = request.extensions().get::<UdsConnectInfo>();
    let uid = info.and_then(|info| info.peer_cred.as_ref()).map(tokio::net::unix::UCred::uid);
    uid.ok_or_else(|| Status::internal("the kernel does not say who has connected"))
}

fn denied() -> Status {
    Status::permission_denied(
        "no workload of this site is of your user: name its number as `spec.uid` in the workload's file",
    )
}

fn svids(issued: &Issued, uid: u32) -> Option<X509svidResponse> {
    let own = issued.roots.get(&issued.own)?;
    let svids = issued.by_uid.get(&uid)?.iter().map(|entry| X509svid {
        spiffe_id: entry.id.clone(),
        x509_svid: entry.chain.clone(),
        x509_svid_key: entry.key.to_vec(),
        bundle: own.clone(),
        hint: entry.hint.clone(),
    });
    let others = issued.roots.iter().filter(|(domain, _)| **domain != issued.own);
    let federated_bundles = others.map(|(domain, roots)| (domain.clone(), roots.clone())).collect();
    Some(X509svidResponse { svids: svids.collect(), crl: Vec::new(), federated_bundles })
}

fn bundles(issued: &Issued, uid: u32) -> Option<X509BundlesResponse> {
    issued.by_uid.get(&uid)?;
    Some(X509BundlesResponse { crl: Vec::new(), bundles: issued.roots.clone() })
}

fn no_tokens() -> Status {
    Status::unimplemented("JWT-SVIDs are not made")
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = Responses<X509svidResponse>;
    type FetchX509BundlesStream = Responses<X509BundlesResponse>;
    type FetchJWTBundlesStream = Responses<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        self.stream(&request, svids)
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.stream(&request, bundles)
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        caller(&request)?;
        Err(no_tokens())
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        caller(&request)?;
        Err(no_tokens())
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        caller(&request)?;
        Err(no_tokens())
    }
}
