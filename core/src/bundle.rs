//! The bundle: manifests, fragment lists and fragments, and what makes them canonical.
//!
//! The message types are generated from `proto/skerry/bundle/v1/bundle.proto`; this module adds
//! encoding, ids and keys. It must not know how bundles travel or how Envoy takes them.

use std::sync::Arc;

use prost::Message as _;

use crate::id::{Digest, NamespacedName};

#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from bundle.proto, which is documented")]
#[rustfmt::skip]
pub mod v1;

/// The schema that this version compiles and lowers.
pub const SCHEMA: u32 = 1;

/// The longest fragment that is compiled or accepted: 1 MiB holds a service with about 5,000 routes.
pub const MAX_FRAGMENT_BYTES: usize = 1 << 20;

/// The most fragments of one site: room for ten times the 1,000 services of a large site.
pub const MAX_FRAGMENTS: usize = 10_000;

/// The longest encoded manifest: its fields are short; a site name is at most 63 bytes, a revision a branch and a hash.
pub const MAX_MANIFEST_BYTES: usize = 4 << 10;

/// The key of a fragment in a list: what it is about, whatever its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FragmentKey {
    /// What holds for the whole site.
    Settings,
    /// One service.
    Service(NamespacedName),
}

impl std::fmt::Display for FragmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings => f.write_str("settings"),
            Self::Service(name) => write!(f, "service/{name}"),
        }
    }
}

/// An encoded fragment with its id. Cheap to clone: sites share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFragment {
    /// What it is about.
    pub key: FragmentKey,
    /// BLAKE3 of `bytes`.
    pub id: Digest,
    /// Canonical protobuf.
    pub bytes: Arc<[u8]>,
    /// The text of the key: lists are sorted by it.
    pub name: Arc<str>,
    /// Its entry of a list, encoded as `FragmentList` has it. A list is its entries one after the other.
    entry: Arc<[u8]>,
}

impl EncodedFragment {
    /// Encodes a service.
    pub fn service(service: v1::Service) -> Self {
        let key = FragmentKey::Service(NamespacedName::new(service.namespace.clone(), service.name.clone()));
        Self::encode(key, v1::fragment::Kind::Service(service))
    }

    /// Encodes a site's settings.
    pub fn settings(settings: v1::Settings) -> Self {
        Self::encode(FragmentKey::Settings, v1::fragment::Kind::Settings(settings))
    }

    fn encode(key: FragmentKey, kind: v1::fragment::Kind) -> Self {
        Self::of_bytes(key, v1::Fragment { kind: Some(kind) }.encode_to_vec())
    }

    /// Takes canonical bytes.
    pub fn of_bytes(key: FragmentKey, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let (id, name) = (Digest::of(&bytes), key.to_string());
        let entry = v1::FragmentList { fragments: vec![to_ref(&name, &id, &bytes)] }.encode_to_vec();
        Self { key, id, bytes, name: name.into(), entry: entry.into() }
    }

    /// Returns its entry of a list.
    pub fn to_ref(&self) -> v1::FragmentRef {
        to_ref(&self.name, &self.id, &self.bytes)
    }
}

/// An encoded fragment list with its digest and the fragments that it names. Sites of one class share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// BLAKE3 of `list`.
    pub digest: Digest,
    /// The canonical bytes of the `FragmentList`.
    pub list: Arc<[u8]>,
    /// The fragments, sorted by their key's text, as in the list.
    pub fragments: Vec<Arc<EncodedFragment>>,
}

impl Contents {
    /// Makes a list of fragments; sorts them by their key's text.
    pub fn new(mut fragments: Vec<Arc<EncodedFragment>>) -> Self {
        fragments.sort_by(|a, b| a.name.cmp(&b.name));
        let mut list = Vec::with_capacity(fragments.iter().map(|fragment| fragment.entry.len()).sum());
        fragments.iter().for_each(|fragment| list.extend_from_slice(&fragment.entry));
        let list: Arc<[u8]> = list.into();
        Self { digest: Digest::of(&list), list, fragments }
    }
}

fn to_ref(name: &str, id: &Digest, bytes: &[u8]) -> v1::FragmentRef {
    v1::FragmentRef {
        key: name.to_owned(),
        id: id.as_bytes().to_vec(),
        length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
    }
}

/// A whole bundle, decoded: what an agent lowers. Made by `verify` alone, so it is always consistent.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The manifest.
    pub manifest: v1::Manifest,
    /// BLAKE3 of the manifest's bytes.
    pub digest: Digest,
    /// The fragments that it is made of.
    pub list: v1::FragmentList,
    /// What holds for the whole site.
    pub settings: v1::Settings,
    /// Its services, by name. A bundle that was verified after another one shares those that it has in common
    /// with it.
    pub services: std::collections::BTreeMap<NamespacedName, Arc<v1::Service>>,
}
