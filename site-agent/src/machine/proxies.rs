//! What is known about the local proxies: what each shall have, and what each of its streams has.

use std::collections::{BTreeMap, BTreeSet};

use skerry_core::id::{Digest, NamespacedName};

/// Numbers the streams of a run of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) u64);

/// The proxies of a site, by workload.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    by_workload: BTreeMap<NamespacedName, Proxy>,
}

#[derive(Debug, Default)]
struct Proxy {
    /// Hash of what is published to it.
    wanted: Option<Digest>,
    /// Several during a hot restart: the old Envoy and the new one.
    streams: BTreeMap<StreamId, Stream>,
    /// It was connected and said nothing in a trial, nor since.
    is_doubted: bool,
}

#[derive(Debug, Default)]
struct Stream {
    acked: Option<Digest>,
    /// Hash of what it refused something of, and its words.
    refused: Option<(Digest, String)>,
}

/// Where a proxy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not connected.
    Absent,
    /// Connected, and not there yet.
    Pending,
    /// It has everything.
    Ready,
    /// It refused something, in its own words.
    Refused(String),
}

impl Proxies {
    pub(super) fn set_wanted(&mut self, hashes: &BTreeMap<NamespacedName, Digest>) {
        self.by_workload.retain(|name, _| hashes.contains_key(name));
        for (name, hash) in hashes {
            self.by_workload.entry(name.clone()).or_default().wanted = Some(*hash);
        }
    }

    pub(super) fn wanted(&self, name: &NamespacedName) -> Option<Digest> {
        self.by_workload.get(name)?.wanted
    }

    pub(super) fn connect(&mut self, name: &NamespacedName, stream: StreamId) {
        if let Some(proxy) = self.by_workload.get_mut(name) {
            proxy.streams.insert(stream, Stream::default());
        }
    }

    pub(super) fn disconnect(&mut self, name: &NamespacedName, stream: StreamId) {
        if let Some(proxy) = self.by_workload.get_mut(name) {
            proxy.streams.remove(&stream);
        }
    }

    pub(super) fn ack(&mut self, name: &NamespacedName, stream: StreamId, hash: Digest) {
        if let Some(proxy) = self.by_workload.get_mut(name) {
            proxy.is_doubted = false;
        }
        if let Some(stream) = self.stream(name, stream) {
            *stream = Stream { acked: Some(hash), refused: None };
        }
    }

    pub(super) fn refuse(&mut self, name: &NamespacedName, stream: StreamId, hash: Digest, detail: &str) {
        if let Some(stream) = self.stream(name, stream) {
            stream.refused = Some((hash, detail.to_owned()));
        }
    }

    /// What is published is taken back: a proxy that refused something of it has to say anew what it
    /// thinks of the rest. Not those of `but`, which had refused something before.
    pub(super) fn forget_refusals(&mut self, but: &BTreeSet<NamespacedName>) {
        for (_, proxy) in self.by_workload.iter_mut().filter(|(name, _)| !but.contains(*name)) {
            for stream in proxy.streams.values_mut() {
                stream.refused.take_if(|(hash, _)| Some(*hash) == proxy.wanted);
            }
        }
    }

    fn stream(&mut self, name: &NamespacedName, stream: StreamId) -> Option<&mut Stream> {
        self.by_workload.get_mut(name)?.streams.get_mut(&stream)
    }

    /// Says whether a stream is open.
    pub(super) fn is_connected(&self, name: &NamespacedName) -> bool {
        self.by_workload.get(name).is_some_and(|proxy| !proxy.streams.is_empty())
    }

    /// These said nothing in a trial.
    pub(super) fn doubt(&mut self, names: &[NamespacedName]) {
        for name in names {
            if let Some(proxy) = self.by_workload.get_mut(name) {
                proxy.is_doubted = true;
            }
        }
    }

    /// Says whether the proxy said nothing in the trial before, nor since.
    pub(super) fn is_doubted(&self, name: &NamespacedName) -> bool {
        self.by_workload.get(name).is_some_and(|proxy| proxy.is_doubted)
    }

    /// Says whether the proxy has refused something and not acknowledged all since.
    pub(super) fn has_refused(&self, name: &NamespacedName) -> bool {
        self.by_workload.get(name).is_some_and(|proxy| matches!(phase(proxy), Phase::Refused(_)))
    }

    /// Says whether any proxy has acknowledged all that it is to have.
    pub(crate) fn any_is_ready(&self) -> bool {
        self.by_workload.values().any(|proxy| phase(proxy) == Phase::Ready)
    }

    /// Says whether any proxy is connected and has yet to answer.
    pub(crate) fn any_is_pending(&self) -> bool {
        self.by_workload.values().any(|proxy| phase(proxy) == Phase::Pending)
    }

    /// Says whether any proxy is not connected: just after a start of the agent those that run are on their way back.
    pub(crate) fn any_is_absent(&self) -> bool {
        self.by_workload.values().any(|proxy| proxy.streams.is_empty())
    }

    /// Says whether any proxy is connected.
    pub(crate) fn any_is_connected(&self) -> bool {
        self.by_workload.values().any(|proxy| !proxy.streams.is_empty())
    }

    /// Says whether the proxy is connected and each of its streams has acknowledged what is wanted.
    pub(crate) fn is_ready(&self, name: &NamespacedName) -> bool {
        self.by_workload.get(name).is_some_and(|proxy| phase(proxy) == Phase::Ready)
    }

    /// Where each proxy stands, with the hash that it acknowledged.
    pub(crate) fn phases(&self) -> impl Iterator<Item = (&NamespacedName, Phase, Option<Digest>)> {
        self.by_workload.iter().map(|(name, proxy)| {
            let acked = proxy.streams.values().next_back().and_then(|stream| stream.acked);
            (name, phase(proxy), acked)
        })
    }
}

/// A refusal stands until the stream has acknowledged all: what it refused is not sent again.
fn phase(proxy: &Proxy) -> Phase {
    match proxy.streams.values().find_map(|stream| stream.refused.as_ref()) {
        Some((_, detail)) => Phase::Refused(detail.clone()),
        None if proxy.streams.is_empty() => Phase::Absent,
        None if proxy.streams.values().all(|stream| stream.acked == proxy.wanted) => Phase::Ready,
        None => Phase::Pending,
    }
}
