//! What each site shall run, for readers: looked up without a lock, replaced as a whole.
//!
//! The planner alone writes. A reader never sees half a publication: rows and contents change in one
//! step, and what sites share is not copied. Must not decide who is told, and must not know of streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prost::Message as _;
use skerry_core::bundle::{Contents, EncodedFragment, FragmentKey, v1};
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Digest, DigestPrefix, Epoch, Generation, Revision, SiteId, Timestamp};
use skerry_core::index::Compiled;
use skerry_core::ledger::{self, Row, Rows, Terms};
use skerry_core::pace::Pace;
use skerry_identity::lifetimes::DEFAULT_BUDGET;
use skerry_proto::codec::compress_fragment;
use skerry_proto::codec::list::Step;
use tokio::sync::watch;

use crate::epoch::{Named, Place};
use crate::policy::{Asks, Vouched};
use crate::store::Signature;

pub mod cache;
pub mod delta;
pub mod history;

use cache::Cache;
use delta::{Base, Deltas, Inline};
use history::{History, Version, starting_with};

/// How many bytes of fragments are remembered in the form that is sent in chunks: room for all
/// fragments of 200 services in 10 versions each.
const MAX_ENCODED_BYTES: usize = 8 << 20;

/// A compiled revision.
#[derive(Debug)]
pub struct World {
    /// Sites, their labels and contents.
    pub compiled: Arc<Compiled>,
    /// The revision.
    pub revision: Revision,
    /// Who vouches for it.
    pub signature: Signature,
    /// When it was compiled.
    pub compiled_at: Timestamp,
    /// Everything that is wrong with it: the source's and the compiler's.
    pub diagnostics: Diagnostics,
    /// Documents of other systems, by kind.
    pub foreign: BTreeMap<String, u32>,
}

/// What a site shall run.
#[derive(Debug, Clone)]
pub struct Target {
    /// The canonical bytes of the manifest.
    pub manifest: Vec<u8>,
    /// Their BLAKE3.
    pub digest: Digest,
    /// The fragment list and the fragments.
    pub contents: Arc<Contents>,
}

/// What is known of a site.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It is not in the policy repository.
    Unknown,
    /// The core has just started: it knows what it told the site last, and has not compiled yet.
    /// `None` when it does not even know the site.
    Starting(Option<Digest>),
    /// It shall run this.
    Known(Target),
}

/// Signs a manifest: the bytes of its signatures.
type Signer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Says whether policy keys have signed what a site shall run, and whether they have to.
type Voucher = Box<dyn Fn(&SiteId, &Contents, Option<Asks>) -> Vouched + Send + Sync>;

/// Everything that is published.
pub struct Published {
    epoch: AtomicU64,
    /// Whether there is a world: for those who wait for the first one.
    is_compiled: watch::Sender<bool>,
    shown: ArcSwap<Shown>,
    history: History,
    deltas: Deltas,
    encoded: Cache<Digest, Arc<[u8]>>,
    signer: Signer,
    voucher: Voucher,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// What a site shall run.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the ledger. Shared by sites that were given the same at once.
    pub row: Arc<Row>,
    /// `None` after a start, until the source was compiled.
    pub contents: Option<Arc<Contents>>,
}

/// One publication: what readers see until the next one.
#[derive(Debug, Default)]
struct Shown {
    /// The last publication.
    generation: Generation,
    rows: Rows,
    by_list: BTreeMap<Digest, Arc<Contents>>,
    /// `None` until the first publication after a start.
    world: Option<Arc<World>>,
}

/// One publication, ready to be shown.
#[derive(Debug)]
pub struct Edition {
    /// The compiled revision.
    pub world: World,
    /// Its number.
    pub generation: Generation,
    /// The rows of its sites.
    pub rows: Rows,
    /// What they name.
    pub contents: Vec<Arc<Contents>>,
}

impl Published {
    /// Shows the rows that were restored: enough to tell a site that it is current.
    pub fn restore(given: Place, rows: Rows) -> Self {
        let shown = Shown { generation: given.generation, rows, ..Shown::default() };
        Self {
            epoch: given.epoch.0.into(),
            is_compiled: watch::Sender::new(false),
            shown: ArcSwap::from_pointee(shown),
            history: History::default(),
            deltas: Deltas::default(),
            encoded: Cache::with_room(MAX_ENCODED_BYTES),
            signer: Box::new(|_| Vec::new()),
            voucher: Box::new(|_, _, _| Vouched::NotRequired),
        }
    }

    /// Names who signs manifests: the bytes of the signatures come back.
    #[must_use]
    pub fn signed_by(self, signer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { signer: Box::new(signer), ..self }
    }

    /// Names who knows of policy signatures.
    #[must_use]
    pub fn vouched_by(
        self,
        voucher: impl Fn(&SiteId, &Contents, Option<Asks>) -> Vouched + Send + Sync + 'static,
    ) -> Self {
        Self { voucher: Box::new(voucher), ..self }
    }

    /// Says whether a site may be offered contents, as far as policy keys have a say.
    pub fn vouch(&self, site: &SiteId, contents: &Contents, asks: Option<Asks>) -> Vouched {
        (self.voucher)(site, contents, asks)
    }

    /// Signs a manifest. When it is offered and not when it is made: of 100,000 that a commit makes only those are signed
    /// that somebody fetches.
    pub fn sign(&self, manifest: &[u8]) -> Vec<u8> {
        (self.signer)(manifest)
    }

    /// Shows a publication. What is not run any more goes to the history.
    pub fn publish(&self, edition: Edition) {
        let Edition { world, generation, rows, contents } = edition;
        let by_list: BTreeMap<_, _> =
            contents.into_iter().map(|contents| (contents.digest, contents)).collect();
        let before = self.shown.load();
        let replaced = before.by_list.iter().filter(|(list, _)| !by_list.contains_key(list));
        self.history.keep(replaced.map(|(_, contents)| Arc::clone(contents)));
        self.deltas.clear();
        self.shown.store(Arc::new(Shown { generation, rows, by_list, world: Some(Arc::new(world)) }));
        self.is_compiled.send_replace(true);
    }

    /// Waits until there is a world.
    pub async fn compiled(&self) {
        // An error means that nothing is published any more, and there is nobody left to tell that.
        self.is_compiled.subscribe().wait_for(|is_compiled| *is_compiled).await.ok();
    }

    /// Returns the highest place that was given to anything.
    pub fn given(&self) -> Place {
        Place { epoch: self.terms().epoch, generation: self.shown.load().generation }
    }

    /// Names what a site shall run.
    pub fn named(&self, site: &SiteId) -> Option<Named> {
        let row = self.entry(site)?.row;
        let place = Place { generation: row.generation, ..self.given() };
        Some(Named { place, manifest: Some(self.manifest(site, &row).1.prefix()) })
    }

    /// Begins an epoch: all manifests are other ones from now on.
    pub fn begin(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    fn terms(&self) -> Terms {
        Terms { epoch: Epoch(self.epoch.load(Ordering::Acquire)) }
    }

    /// Returns the compiled revision; `None` until the first one after a start.
    pub fn world(&self) -> Option<Arc<World>> {
        self.shown.load().world.clone()
    }

    /// Returns the contents that a list stands for, if it is in force.
    pub fn contents(&self, list: &Digest) -> Option<Arc<Contents>> {
        self.shown.load().by_list.get(list).cloned()
    }

    /// Returns a site's row and contents.
    pub fn entry(&self, site: &SiteId) -> Option<Entry> {
        self.shown.load().entry(site)
    }

    /// Returns how a site treats its link; the default as long as nothing was compiled.
    pub fn pace(&self, site: &SiteId) -> Pace {
        let settings = self.entry(site).and_then(|entry| entry.settings());
        settings.map_or_else(Pace::default, |settings| Pace::of_settings(&settings))
    }

    /// Returns how long a site shall go on with no link; the default as long as nothing was compiled.
    pub fn offline_budget(&self, site: &SiteId) -> Duration {
        match self.entry(site).and_then(|entry| entry.settings()).map(|settings| settings.offline_seconds) {
            None | Some(0) => DEFAULT_BUDGET,
            Some(seconds) => Duration::from_secs(seconds.into()),
        }
    }

    /// Lists the sites that are shown, in order.
    pub fn sites(&self) -> Vec<SiteId> {
        self.shown.load().rows.sites().cloned().collect()
    }

    /// Looks up what a site shall run.
    pub fn lookup(&self, site: &SiteId) -> Lookup {
        let shown = self.shown.load();
        match (shown.entry(site), &shown.world) {
            (Some(Entry { row, contents: Some(contents) }), _) => {
                let (manifest, digest) = self.manifest(site, &row);
                Lookup::Known(Target { manifest, digest, contents })
            }
            (Some(Entry { row, contents: None }), _) => Lookup::Starting(Some(self.manifest(site, &row).1)),
            (None, None) => Lookup::Starting(None),
            (None, Some(_)) => Lookup::Unknown,
        }
    }

    /// Writes a site's manifest; returns its bytes and digest.
    pub fn manifest(&self, site: &SiteId, row: &Row) -> (Vec<u8>, Digest) {
        ledger::encode(&row.manifest(site, self.terms()))
    }

    /// Says what a site has that tells of a fragment list: nothing, one that is still known, or another.
    pub fn base(&self, list: Option<DigestPrefix>, target: &Contents) -> Base {
        let Some(prefix) = list else { return Base::Nothing };
        if target.digest.prefix() == prefix {
            return Base::Known(target.digest);
        }
        let in_force = || starting_with(&self.shown.load().by_list, prefix);
        self.history.find(prefix).or_else(in_force).map_or(Base::Unknown, Base::Known)
    }

    /// Finds the fragments of a list: one that was, or one that other sites run now.
    fn version(&self, list: &Digest) -> Option<Version> {
        let in_force = || Some(self.contents(list)?.fragments.as_slice().into());
        self.history.get(list).or_else(in_force)
    }

    /// Returns what leads from a base to contents. Computed once for all sites that need it.
    pub fn delta(&self, base: Base, target: &Contents, inline: Inline) -> Arc<Step> {
        self.deltas.get(base, target, inline, |list| self.version(list))
    }

    /// Returns the form of a fragment that is sent in chunks. Computed once for all sites that need it.
    pub fn encoded(&self, fragment: &EncodedFragment) -> Arc<[u8]> {
        self.encode(fragment.id, &fragment.bytes)
    }

    /// Returns the form of a list that is sent in chunks.
    pub fn encoded_list(&self, contents: &Contents) -> Arc<[u8]> {
        self.encode(contents.digest, &contents.list)
    }

    fn encode(&self, id: Digest, bytes: &[u8]) -> Arc<[u8]> {
        let encode = |_: &Digest| {
            let encoded = compress_fragment(bytes).expect("zstd fails for lack of memory only");
            encoded.into()
        };
        self.encoded.get(id, encode, |encoded| encoded.len())
    }
}

impl Entry {
    /// Reads the site's settings; `None` as long as nothing was compiled since the core started.
    pub fn settings(&self) -> Option<v1::Settings> {
        let mut fragments = self.contents.iter().flat_map(|contents| &contents.fragments);
        let settings = fragments.rfind(|fragment| fragment.key == FragmentKey::Settings)?;
        match v1::Fragment::decode(&*settings.bytes).ok()?.kind? {
            v1::fragment::Kind::Settings(settings) => Some(settings),
            v1::fragment::Kind::Service(_) => None,
        }
    }
}

impl Shown {
    fn entry(&self, site: &SiteId) -> Option<Entry> {
        let row = self.rows.get(site)?;
        Some(Entry { row: Arc::clone(row), contents: self.by_list.get(&row.list).cloned() })
    }
}

#[cfg(test)]
mod tests;
