//! Bootstraps on disk: for each proxy one that serves by itself, and one that asks the agent.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use skerry_core::id::{Digest, NamespacedName, SiteId};
use skerry_xds::bootstrap::{
    AdsMode, BootstrapOptions, NodeId, Part, Parts, ads_bootstrap, static_parts, to_pb,
};
use skerry_xds::resource::{ResourceKind, ResourceSet};
use skerry_xds::secret::to_file;
use zeroize::Zeroizing;

use crate::args::XdsVariant;
use crate::layout::{ProxyDir, private_folder, replace_file};

mod index;

pub(crate) use index::Index;
use index::{Listener, Sum};

/// Writes bootstraps, each only when it changes.
#[derive(Debug)]
pub(crate) struct Snapshots {
    site: SiteId,
    mode: AdsMode,
    written: BTreeMap<NamespacedName, Digest>,
}

impl Snapshots {
    /// Begins for a site.
    pub(crate) fn new(site: SiteId, xds: XdsVariant) -> Self {
        let mode = match xds {
            XdsVariant::Delta => AdsMode::Delta,
            XdsVariant::Sotw => AdsMode::Sotw,
        };
        Self { site, mode, written: BTreeMap::new() }
    }

    /// Makes a proxy's folder and the bootstrap that asks the agent.
    pub(crate) fn prepare(&mut self, name: &NamespacedName, folder: &ProxyDir) -> std::io::Result<()> {
        self.written.remove(name);
        private_folder(folder.path())?;
        let node = NodeId::of(&self.site, name);
        let bootstrap = ads_bootstrap(&node, &folder.ads_socket(), self.mode, &BootstrapOptions::default());
        replace_if_new(&folder.ads_bootstrap(), &to_pb(&bootstrap))
    }

    /// Says whether a proxy's folder has a bootstrap that serves by itself, written since `prepare`.
    pub(crate) fn has(&self, name: &NamespacedName) -> bool {
        self.written.contains_key(name)
    }

    /// Writes the bootstrap that serves by itself; `hash` is that of the set.
    pub(crate) fn write(
        &mut self,
        name: &NamespacedName,
        folder: &ProxyDir,
        set: &ResourceSet,
        hash: Digest,
    ) -> std::io::Result<()> {
        if self.written.get(name) == Some(&hash) {
            return Ok(());
        }
        // Before what names them.
        for (secret, resource) in set.of(ResourceKind::Secret) {
            replace_if_new(&folder.secret(secret), &Zeroizing::new(to_file(resource)))?;
        }
        let options = BootstrapOptions { secrets: folder.path().to_owned(), ..BootstrapOptions::default() };
        let Parts { bytes, listeners } = static_parts(set, &NodeId::of(&self.site, name), &options);
        // The index first: a launcher that finds it with another file goes without.
        replace_if_new(&folder.static_index(), index_of(&bytes, listeners).to_text().as_bytes())?;
        replace_if_new(&folder.static_bootstrap(), &bytes)?;
        self.written.insert(name.clone(), hash);
        Ok(())
    }
}

fn index_of(bytes: &[u8], listeners: Vec<Part>) -> Index {
    let listener = |Part { range, at, is_free }| Listener { range, at, is_free };
    Index { sum: Sum::of(bytes), listeners: listeners.into_iter().map(listener).collect() }
}

fn replace_if_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if is_same(path, bytes).unwrap_or_default() { Ok(()) } else { replace_file(path, bytes) }
}

/// Says whether a file holds these bytes. Reads it piece by piece: a snapshot is no small file.
fn is_same(path: &Path, mut bytes: &[u8]) -> std::io::Result<bool> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    loop {
        let piece = file.fill_buf()?;
        let Some(rest) = bytes.strip_prefix(piece) else { return Ok(false) };
        if piece.is_empty() {
            return Ok(rest.is_empty());
        }
        let taken = piece.len();
        bytes = rest;
        file.consume(taken);
    }
}
