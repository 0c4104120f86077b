//! The HTTP side: push notifications of Git hosts, and probes.
//!
//! A notification is only a reason to fetch now; nothing of its body is acted on.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use skerry_gitops::reference::Reference;
use skerry_gitops::webhook::{self, WebhookError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::publish::Published;
use crate::source::SourceHandle;
use crate::source::login;

mod listener;

use listener::Limits;

/// The longest notification, 1 MiB: a push of 1,000 commits. A longer one is refused, and the next
/// poll sees what was pushed.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The most connections at once. Each is a file descriptor that agents do not have.
pub const CONNECTIONS: usize = 64;

/// What requests need of the core.
#[derive(Debug)]
pub struct Webhook {
    /// The source's thread.
    pub source: SourceHandle,
    /// What is followed.
    pub reference: Reference,
    /// The file with the secret, if there is one; read anew for each request.
    pub secret: Option<PathBuf>,
    /// Tells whether anything was compiled.
    pub published: Arc<Published>,
}

type Answer = (StatusCode, String);

/// Serves until the token is cancelled.
///
/// # Errors
/// None; it is one of the tasks that may fail.
pub async fn serve(
    webhook: Webhook,
    listener: TcpListener,
    cancel: CancellationToken,
) -> Result<(), Infallible> {
    let router = Router::new()
        .route("/webhook", post(take_push))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(webhook));
    listener::serve(router, listener, Limits::default(), cancel).await;
    Ok(())
}

async fn ready(State(webhook): State<Arc<Webhook>>) -> Answer {
    match webhook.published.world() {
        Some(world) => (StatusCode::OK, format!("{}\n", world.revision)),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the policy source was not read yet\n".to_owned()),
    }
}

async fn take_push(State(webhook): State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> Answer {
    let secret = match webhook.secret.clone() {
        None => String::new(),
        Some(path) => match tokio::task::spawn_blocking(move || login::read_text(&path)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(failure)) => {
                warn!(error = %failure.error, help = failure.help, "cannot check a push notification");
                return (StatusCode::INTERNAL_SERVER_ERROR, "the secret cannot be read\n".to_owned());
            }
            Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "the core is stopping\n".to_owned()),
        },
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Err(error) = webhook::verify(header, &body, secret.as_bytes()) {
        warn!(%error, help = error.help(), "a push notification is refused");
        let status =
            if error == WebhookError::NoSecret { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        return (status, format!("{error}: {}\n", error.help()));
    }
    if !webhook::concerns(&body, &webhook.reference) {
        return (StatusCode::ACCEPTED, "this is not the reference that is followed\n".to_owned());
    }
    info!("a push notification came");
    webhook.source.wake();
    (StatusCode::ACCEPTED, "fetching\n".to_owned())
}
