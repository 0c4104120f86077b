//! What a change of policy does to sites: who changes, in which fragments, and what that costs on the link.
//!
//! Pure: takes two compiled policies. The second must have been compiled with the address indexes of the first, as a
//! core would have, or else every new service would seem to move all others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message as _;
use serde::Serialize;
use skerry_core::bundle::{Contents, EncodedFragment, FragmentKey};
use skerry_core::diagnostic::{Diagnostic, Diagnostics, Location};
use skerry_core::id::{Digest, SiteId};
use skerry_core::index::Compiled;
use skerry_proto::codec::{encode_fragment, encode_list};
use skerry_proto::limits::MAX_INLINE_BYTES;

/// What becomes of a site or a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It is there before and after, and differs.
    Changed,
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
}

/// A comparison, with what is wrong now and was not before.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The old state.
    pub base: String,
    /// The new state.
    pub head: String,
    /// What changes at sites.
    #[serde(flatten)]
    pub fleet: FleetDiff,
    /// Objects that are broken in the new state and stay as they were at a core that has the old one in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Diagnostic>,
    /// Diagnostics that the new state has and the old one has not, without those of `held`.
    pub new_diagnostics: Vec<Diagnostic>,
}

/// What a change of policy does to a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetDiff {
    /// How many sites there are, before and after together. 0: the policy declares none, and the one group stands for
    /// a site without labels.
    pub sites: usize,
    /// How many of them change.
    pub changed: usize,
    /// Bytes to ship to all of them together.
    pub bytes: usize,
    /// The changes, each with the sites that see it; those with most sites first.
    pub groups: Vec<Group>,
}

/// Sites that see the same change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The sites, by name.
    pub sites: Vec<String>,
    /// What becomes of them.
    pub fate: Fate,
    /// Bytes to ship to each: fragments, compressed as they will be, and the change of the list.
    pub bytes_each: usize,
    /// The fragments that change.
    pub fragments: Vec<FragmentChange>,
}

/// A fragment that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FragmentChange {
    /// What it is about: `settings`, or `service/<namespace>/<name>`.
    pub key: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Its size on the link; 0 when it is gone.
    pub bytes: usize,
}

/// The name of the one group where a policy declares no site.
pub const NO_SITE: &str = "(a site without labels)";

type Side<'a> = Option<&'a Arc<Contents>>;

/// What tells two changes apart: the ids of each fragment before and after.
type Identity = (Fate, Vec<(FragmentKey, Option<Digest>, Option<Digest>)>);

/// Compares two compiled policies.
pub fn diff(base: &Compiled, head: &Compiled) -> FleetDiff {
    let names: BTreeSet<&SiteId> = base.sites().chain(head.sites()).collect();
    let mut sites: Vec<(String, Side<'_>, Side<'_>)> =
        names.iter().map(|site| (site.to_string(), base.contents(site), after(base, head, site))).collect();
    if sites.is_empty() {
        sites.push((NO_SITE.to_owned(), base.base(), head.base().or(base.base())));
    }
    let groups = group(sites);
    FleetDiff {
        sites: names.len(),
        changed: if names.is_empty() { 0 } else { groups.iter().map(|group| group.sites.len()).sum() },
        bytes: groups.iter().map(|group| group.bytes_each * group.sites.len()).sum(),
        groups,
    }
}

/// What a site runs after a change. One whose new contents do not verify keeps what it has.
fn after<'a>(base: &'a Compiled, head: &'a Compiled, site: &SiteId) -> Side<'a> {
    let is_declared = head.class(site).is_some();
    head.contents(site).or_else(|| base.contents(site).filter(|_| is_declared))
}

/// What makes two diagnostics the same: a diagnostic without what may differ. `None` is like no other.
type Sameness = fn(&Diagnostic) -> Option<Diagnostic>;

/// Finds what is wrong now and was not before. Each old diagnostic accounts for one new one: that which differs least.
pub fn new_diagnostics(base: &Diagnostics, head: &Diagnostics) -> Vec<Diagnostic> {
    let mut old: Vec<&Diagnostic> = base.iter().collect();
    let mut new: Vec<&Diagnostic> = head.iter().collect();
    let samenesses: [Sameness; 3] = [
        // Lines move,
        |one| Some(Diagnostic { location: Location::file(&one.location.file), ..one.clone() }),
        // files move,
        |one| Some(Diagnostic { location: Location::default(), ..one.clone() }),
        // and messages name places of other objects, which move too.
        |one| {
            one.object.as_ref()?;
            let (message, help) = (String::new(), String::new());
            Some(Diagnostic { location: Location::default(), message, help, ..one.clone() })
        },
    ];
    for sameness in samenesses {
        let (before, after) = (count(&old, sameness), count(&new, sameness));
        leave_out(&mut old, sameness, after);
        leave_out(&mut new, sameness, before);
    }
    new.into_iter().cloned().collect()
}

fn count(list: &[&Diagnostic], sameness: Sameness) -> BTreeMap<Diagnostic, usize> {
    let mut counts = BTreeMap::new();
    for key in list.iter().filter_map(|one| sameness(one)) {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Takes so many of each out of a list.
fn leave_out(list: &mut Vec<&Diagnostic>, sameness: Sameness, mut counts: BTreeMap<Diagnostic, usize>) {
    list.retain(|one| match sameness(one).and_then(|key| counts.get_mut(&key)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
}

/// Groups sites by identical change. Sites of one class share their lists, so each pair of lists is compared once.
fn group(sites: Vec<(String, Side<'_>, Side<'_>)>) -> Vec<Group> {
    let mut by_lists: BTreeMap<_, (Side<'_>, Side<'_>, Vec<String>)> = BTreeMap::new();
    for (site, before, after) in sites {
        let lists = (before.map(|contents| contents.digest), after.map(|contents| contents.digest));
        if lists.0 != lists.1 {
            by_lists.entry(lists).or_insert((before, after, Vec::new())).2.push(site);
        }
    }
    let mut by_change: BTreeMap<Identity, Group> = BTreeMap::new();
    for (before, after, sites) in by_lists.into_values() {
        let (identity, change) = compare(before, after);
        by_change.entry(identity).or_insert(change).sites.extend(sites);
    }
    let mut groups: Vec<Group> = by_change.into_values().collect();
    groups.iter_mut().for_each(|group| group.sites.sort());
    groups.sort_by(|a, b| b.sites.len().cmp(&a.sites.len()).then_with(|| a.sites.cmp(&b.sites)));
    groups
}

fn compare(before: Side<'_>, after: Side<'_>) -> (Identity, Group) {
    let fate = match (before, after) {
        (None, _) => Fate::Added,
        (_, None) => Fate::Removed,
        (Some(_), Some(_)) => Fate::Changed,
    };
    let (old, new) = (by_key(before), by_key(after));
    let keys: BTreeSet<&FragmentKey> = old.keys().chain(new.keys()).copied().collect();
    let pairs = keys.into_iter().map(|key| (key, old.get(key).copied(), new.get(key).copied()));
    let differing =
        pairs.filter(|(_, old, new)| old.map(|fragment| fragment.id) != new.map(|fragment| fragment.id));
    let (mut identity, mut fragments) = (Vec::new(), Vec::new());
    for (key, old, new) in differing {
        identity.push((key.clone(), old.map(|fragment| fragment.id), new.map(|fragment| fragment.id)));
        fragments.push(FragmentChange::of(key, old, new));
    }
    let shipped: usize = fragments.iter().map(|change| change.bytes).sum();
    // Nothing is shipped to a site that is gone: it goes on with what it has.
    let bytes_each = if after.is_some() { shipped + list_bytes(before, after) } else { 0 };
    ((fate, identity), Group { sites: Vec::new(), fate, bytes_each, fragments })
}

fn by_key(contents: Side<'_>) -> BTreeMap<&FragmentKey, &EncodedFragment> {
    let fragments = contents.into_iter().flat_map(|contents| &contents.fragments);
    fragments.map(|fragment| (&fragment.key, &**fragment)).collect()
}

impl FragmentChange {
    fn of(key: &FragmentKey, old: Option<&EncodedFragment>, new: Option<&EncodedFragment>) -> Self {
        let fate = match (old, new) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            (Some(_), Some(_)) => Fate::Changed,
        };
        let bytes = new.map_or(0, |new| encode_fragment(new, old).encoded_len());
        Self { key: key.to_string(), fate, bytes }
    }
}

/// Returns the bytes of the message that makes the new fragment list of the old one.
fn list_bytes(before: Side<'_>, after: Side<'_>) -> usize {
    let fragments = |side: Side<'_>| side.map_or_else(Vec::new, |contents| contents.fragments.clone());
    let base = before.map(|contents| contents.digest);
    encode_list(base.as_ref(), &fragments(before), &fragments(after), MAX_INLINE_BYTES).list.encoded_len()
}
