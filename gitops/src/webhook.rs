//! Checks that a push notification comes from who knows the secret, and reads which reference it is about.
//!
//! Pure: takes headers and body as values. Must not act on the body: a push is only a reason to fetch now.

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::oid::hex_bytes;
use crate::reference::Reference;

/// A notification that is not to be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No header that carries a signature.
    #[error("the request carries no signature")]
    Unsigned,
    /// A signature that is not `sha256=` and 64 hex digits (GitHub), or 64 hex digits (Gitea, Forgejo).
    #[error("the signature is malformed")]
    Malformed,
    /// A signature or token made with another secret, or for another body.
    #[error("the signature does not match")]
    Mismatch,
    /// The receiver has no secret, so that anyone could sign.
    #[error("no secret is configured, so no request can be trusted")]
    NoSecret,
}

impl WebhookError {
    /// Says what would help.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unsigned => {
                "set the webhook's secret in GitHub, Gitea, Forgejo or GitLab (headers X-Hub-Signature-256, \
                 X-Gitea-Signature, X-Forgejo-Signature, X-Gitlab-Token)"
            }
            Self::Malformed => "see that no proxy rewrites the signature header",
            Self::Mismatch => "give both sides the same secret, and see that no proxy rewrites the body",
            Self::NoSecret => "give the source a webhook secret of at least one character",
        }
    }
}

/// Checks a notification. `header` looks a header up by its lower-case name; the first of these that is there decides:
/// `x-hub-signature-256` (GitHub), `x-forgejo-signature`, `x-gitea-signature`, `x-gitlab-token`.
/// Comparisons take the same time whatever differs.
pub fn verify<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    secret: &[u8],
) -> Result<(), WebhookError> {
    if secret.is_empty() {
        return Err(WebhookError::NoSecret);
    }
    if let Some(value) = header("x-hub-signature-256") {
        return verify_hmac(value.strip_prefix("sha256=").ok_or(WebhookError::Malformed)?, body, secret);
    }
    if let Some(value) = header("x-forgejo-signature").or_else(|| header("x-gitea-signature")) {
        return verify_hmac(value, body, secret);
    }
    let token = header("x-gitlab-token").ok_or(WebhookError::Unsigned)?;
    // GitLab sends the secret itself. Comparing MACs of both keeps the time independent of where they differ.
    let expected = mac(secret, secret).finalize().into_bytes();
    mac(secret, token.as_bytes()).verify_slice(&expected).map_err(|_| WebhookError::Mismatch)
}

fn verify_hmac(hex: &str, body: &[u8], secret: &[u8]) -> Result<(), WebhookError> {
    let signature = hex_bytes(hex).filter(|bytes| bytes.len() == 32).ok_or(WebhookError::Malformed)?;
    mac(secret, body).verify_slice(&signature).map_err(|_| WebhookError::Mismatch)
}

fn mac(secret: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
}

/// Reads the full name of the reference that was pushed (`refs/heads/main`); `None` when the body does not say.
pub fn pushed_reference(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Push>(body).ok().map(|push| push.reference)
}

/// Says whether a push can change what a source follows. A body that names no reference may be about anything; a
/// commit may arrive by any reference.
pub fn concerns(body: &[u8], followed: &Reference) -> bool {
    match (pushed_reference(body), followed.full_name()) {
        (Some(pushed), Some(followed)) => pushed == followed,
        _ => true,
    }
}
