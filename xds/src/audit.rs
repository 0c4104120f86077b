//! What the authorization of a proxy counted, read from Envoy's statistics. Must not ask Envoy itself.

use std::collections::BTreeMap;

use crate::lower::AUDIT_PREFIX;

/// The query of Envoy's admin interface for the statistics that [`read`] understands.
pub const QUERY: &str = "/stats?filter=rbac%5C.";

/// Counts since the Envoy started; one that takes the place of another goes on from that one's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By `Audit` policy, `<namespace>/<name>`.
    pub audits: BTreeMap<String, Audited>,
    /// Calls that a `Deny` policy refused.
    pub denied: u64,
    /// Calls that no `Allow` policy let pass.
    pub not_allowed: u64,
}

/// What one `Audit` policy counted: requests, or connections on ports that carry bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audited {
    /// Those that it matches: as a `Deny` policy it would refuse them.
    pub matched: u64,
    /// Those that it does not match: as the only `Allow` policy it would refuse these.
    pub unmatched: u64,
}

impl Counts {
    /// Adds what another proxy counted.
    pub fn add(&mut self, other: Self) {
        for (policy, audited) in other.audits {
            let sum = self.audits.entry(policy).or_default();
            sum.matched += audited.matched;
            sum.unmatched += audited.unmatched;
        }
        self.denied += other.denied;
        self.not_allowed += other.not_allowed;
    }
}

/// Reads the lines `name: value` of an answer to [`QUERY`], of all listeners together. What it does not know is
/// passed over.
pub fn read(statistics: &str) -> Counts {
    let mut counts = Counts::default();
    for line in statistics.lines() {
        let Some((name, value)) = line.rsplit_once(": ") else { continue };
        let Ok(value) = value.trim().parse::<u64>() else { continue };
        if let Some((_, audit)) = name.split_once(&format!(".rbac.{AUDIT_PREFIX}")) {
            let Some((policy, counter)) = audit.rsplit_once('.') else { continue };
            let audited = counts.audits.entry(policy.to_owned()).or_default();
            match counter {
                "shadow_denied" => audited.matched += value,
                "shadow_allowed" => audited.unmatched += value,
                _ => {}
            }
        } else if name.ends_with(".rbac.deny.denied") || name.ends_with(".deny.rbac.denied") {
            counts.denied += value;
        } else if name.ends_with(".rbac.allow.denied") || name.ends_with(".allow.rbac.denied") {
            counts.not_allowed += value;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Audited, read};

    #[test]
    fn counters_of_all_listeners_are_added_up() {
        let counts = read(
            "HTTP/1.1 200 OK\r\n\r\nhttp.inbound/80.rbac.allow.allowed: 4\nhttp.inbound/80.rbac.allow.denied: 5\n\
             http.inbound/80.rbac.deny.denied: 1\nhttp.inbound/80.rbac.denied: 9\n\
             http.inbound/80.rbac.audit/shop/a.b.shadow_denied: 2\nhttp.inbound/80.rbac.audit/shop/a.b.shadow_allowed: 3\n\
             inbound/90.rbac.audit/shop/a.b.shadow_denied: 20\ninbound/90.deny.rbac.denied: 10\n\
             inbound/90.allow.rbac.denied: 50\ninbound/90.allow.rbac.allowed: 7\nother: none\n",
        );
        assert_eq!((counts.denied, counts.not_allowed), (11, 55));
        assert_eq!(counts.audits, [("shop/a.b".to_owned(), Audited { matched: 22, unmatched: 3 })].into());
    }
}
