//! What the authorization of a site's proxies counted, as it is shown.

use serde::Serialize;
use skerry_proto::v1::{AuditCount, Counted};

/// What authorization counted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in sync.proto, which says what each is")]
pub struct CountedView {
    pub denied: u64,
    pub not_allowed: u64,
    pub audits: Vec<AuditView>,
}

/// What one `Audit` policy counted.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "named as in sync.proto, which says what each is")]
pub struct AuditView {
    pub policy: String,
    pub matched: u64,
    pub unmatched: u64,
}

impl CountedView {
    /// Takes what a site reported.
    pub(super) fn of(counted: Counted) -> Self {
        let audit = |audit: AuditCount| AuditView {
            policy: audit.policy,
            matched: audit.matched,
            unmatched: audit.unmatched,
        };
        Self {
            denied: counted.denied,
            not_allowed: counted.not_allowed,
            audits: counted.audits.into_iter().map(audit).collect(),
        }
    }
}
