//! Policy signatures: made of a compiled revision, cut into parts for a core. Pure.

use std::collections::BTreeMap;

use skerry_core::bundle::{Contents, FragmentKey, v1 as bundle};
use skerry_core::id::{Digest, SiteId};
use skerry_core::index::Compiled;
use skerry_identity::envelope::Signatures;
use skerry_identity::key::SigningKey;
use skerry_identity::policy::Statement;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_proto::limits::MAX_ATTACHED_SITES;
use skerry_proto::v1::{PolicyGroup, PolicySignatures, SiteSignatures};

use prost::Message as _;

use crate::error::CliError;

/// What is signed, save for sites and contents.
#[derive(Debug)]
pub struct Signing<'a> {
    /// The mesh.
    pub mesh: &'a MeshDomain,
    /// The revision, for people.
    pub revision: String,
    /// The commit: 40 hexadecimal digits.
    pub commit: &'a str,
    /// Its number.
    pub number: u64,
    /// Who signs.
    pub keys: &'a [SigningKey],
}

/// Signs what every site shall run. Sites whose contents do not verify are left out: nobody would run them.
pub fn sign(compiled: &Compiled, signing: &Signing<'_>) -> Result<PolicySignatures, CliError> {
    let internal = |error: &dyn std::fmt::Display| CliError::internal(error.to_string());
    let mut digests: BTreeMap<Digest, Digest> = BTreeMap::new();
    let mut groups: BTreeMap<Digest, Vec<SiteSignatures>> = BTreeMap::new();
    for site in compiled.sites() {
        let Some(contents) = compiled.contents(site) else { continue };
        let policy = match digests.get(&contents.digest) {
            Some(policy) => *policy,
            None => {
                let policy = contents.policy_digest().map_err(|error| internal(&error))?;
                *digests.entry(contents.digest).or_insert(policy)
            }
        };
        let signatures = sign_site(site, &policy, signing)?.to_bytes();
        groups.entry(policy).or_default().push(SiteSignatures { site: site.to_string(), signatures });
    }
    let group = |(policy, sites): (Digest, _)| PolicyGroup { policy: policy.as_bytes().to_vec(), sites };
    Ok(PolicySignatures {
        mesh: signing.mesh.as_str().to_owned(),
        revision: signing.revision.clone(),
        commit: from_hex(signing.commit),
        number: signing.number,
        groups: groups.into_iter().map(group).collect(),
    })
}

fn sign_site(site: &SiteId, policy: &Digest, signing: &Signing<'_>) -> Result<Signatures, CliError> {
    let Signing { mesh, number, commit, keys, .. } = *signing;
    let statement = Statement { mesh, site, number, commit, policy };
    let signatures = keys.iter().map(|key| statement.sign(key)).collect::<Result<_, _>>();
    signatures.map_err(|error| CliError::internal(error.to_string()))
}

/// Returns the mesh that contents are for.
pub fn mesh_of(contents: &Contents) -> Option<String> {
    let settings = contents.fragments.iter().rfind(|fragment| fragment.key == FragmentKey::Settings)?;
    match bundle::Fragment::decode(&*settings.bytes).ok()?.kind? {
        bundle::fragment::Kind::Settings(settings) => Some(settings.trust_domain),
        bundle::fragment::Kind::Service(_) => None,
    }
}

/// How many sites there are.
pub fn count(signatures: &PolicySignatures) -> usize {
    signatures.groups.iter().map(|group| group.sites.len()).sum()
}

/// Cuts them into parts that a core takes.
pub fn parts(signatures: PolicySignatures) -> Vec<PolicySignatures> {
    let head = PolicySignatures { groups: Vec::new(), ..signatures.clone() };
    let mut parts = vec![head.clone()];
    let mut room = MAX_ATTACHED_SITES;
    for PolicyGroup { policy, mut sites } in signatures.groups {
        while !sites.is_empty() {
            if room == 0 {
                parts.push(head.clone());
                room = MAX_ATTACHED_SITES;
            }
            let rest = sites.split_off(room.min(sites.len()));
            room -= sites.len();
            parts.iter_mut().last().into_iter().for_each(|part| {
                part.groups.push(PolicyGroup { policy: policy.clone(), sites: sites.clone() });
            });
            sites = rest;
        }
    }
    parts
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_all_sites_in_order_and_none_too_many() {
        let group = |from: usize, to: usize| PolicyGroup {
            policy: vec![1],
            sites: (from..to)
                .map(|at| SiteSignatures { site: format!("s{at}"), signatures: Vec::new() })
                .collect(),
        };
        let most = MAX_ATTACHED_SITES;
        for (first, second) in [(0, 0), (1, 1), (most - 1, 1), (most, 1), (most + 5, 2 * most + 7)] {
            let groups = vec![group(0, first), group(first, first + second)];
            let whole = PolicySignatures { number: 9, groups, ..PolicySignatures::default() };
            let parts = parts(whole);
            assert!(parts.iter().all(|part| part.number == 9 && count(part) <= most));
            assert_eq!(parts.len(), (first + second).div_ceil(most).max(1), "{first} {second}");
            let sites = parts.iter().flat_map(|part| &part.groups).flat_map(|group| &group.sites);
            let names: Vec<String> = sites.map(|site| site.site.clone()).collect();
            assert_eq!(names, (0..first + second).map(|at| format!("s{at}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_commit_is_20_bytes() {
        assert_eq!(from_hex(&"0aff".repeat(10)), [0x0a, 0xff].repeat(10));
    }
}
