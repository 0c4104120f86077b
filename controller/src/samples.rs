//! Values to test with: sites, contents, publications.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use skerry_core::bundle::{Contents, EncodedFragment, SCHEMA, v1};
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Digest, Epoch, Generation, Revision, SiteId, Timestamp};
use skerry_core::index::compile;
use skerry_core::ledger::{Ledger, Row, Rows, Terms};
use skerry_core::policy::Decoded;
use skerry_core::provenance::Provenance;
use skerry_core::world::World as Objects;
use skerry_proto::limits::{BOOT_BYTES, PROTOCOL};
use skerry_proto::v1::Hello;

use crate::clock::Moment;
use crate::epoch::Place;
use crate::publish::{Edition, Entry, Published, World};
use crate::store::Signature;

pub(crate) mod store;

pub(crate) const TERMS: Terms = Terms { epoch: Epoch(3) };

/// A point in time, by both clocks: milliseconds since they began.
pub(crate) fn at(ms: u64) -> Moment {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment { wall: Timestamp(ms), at: *BEGAN + Duration::from_millis(ms) }
}

pub(crate) fn site(name: &str) -> SiteId {
    SiteId::new(name).expect("a test's site has a good name")
}

/// A fragment of a service with some routes; `version` makes it another one.
pub(crate) fn service(name: &str, routes: usize, version: u32) -> Arc<EncodedFragment> {
    let route = |number| v1::Route { name: format!("shop/{name}/{number}/0"), ..v1::Route::default() };
    let table =
        v1::RouteTable { port: 80, routes: (0..routes).map(route).collect(), ..v1::RouteTable::default() };
    Arc::new(EncodedFragment::service(v1::Service {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        index: version,
        tables: vec![table],
        ..v1::Service::default()
    }))
}

/// A fragment that does not compress: so many bytes of noise.
pub(crate) fn noise(name: &str, bytes: usize) -> Arc<EncodedFragment> {
    let selector = (0..bytes / 64).map(|number| {
        let digest = Digest::of(format!("{name}{number}").as_bytes()).to_string();
        (digest, String::new())
    });
    Arc::new(EncodedFragment::service(v1::Service {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        selector: selector.collect(),
        ..v1::Service::default()
    }))
}

pub(crate) fn contents(fragments: &[Arc<EncodedFragment>]) -> Arc<Contents> {
    Arc::new(Contents::new(fragments.to_vec()))
}

pub(crate) fn row(contents: &Contents, generation: u64) -> Row {
    Row {
        list: contents.digest,
        generation: Generation(generation),
        revision: Revision::commit("main", &format!("{generation:040x}")),
        issued_at: Timestamp(generation * 1000),
        removals: 0,
        provenance: Provenance::Unchecked,
    }
}

/// Nothing is published yet.
pub(crate) fn nothing() -> Published {
    restored(0, Rows::default())
}

/// What a core that starts shows, which had given so many generations.
pub(crate) fn restored(generation: u64, rows: Rows) -> Published {
    Published::restore(Place { epoch: TERMS.epoch, generation: Generation(generation) }, rows)
}

/// Rows as a core that starts has them.
pub(crate) fn rows(rows: impl IntoIterator<Item = (SiteId, Row)>) -> Rows {
    Ledger::restore(Generation(0), rows).rows().clone()
}

/// Shows these contents to a site; `None` takes the site away.
pub(crate) fn publish(published: &Published, name: &str, generation: u64, contents: Option<&Arc<Contents>>) {
    let decode = |_: &_| Decoded::Foreign { api_version: String::new(), kind: String::new() };
    let world = World {
        compiled: Arc::new(compile(&Objects::default(), decode)),
        revision: Revision::from_text("main@sha1:0"),
        signature: Signature::default(),
        compiled_at: Timestamp(1),
        diagnostics: Diagnostics::new(),
        foreign: BTreeMap::new(),
    };
    let others = published.sites().into_iter().filter(|site| site.as_str() != name);
    let others = others.filter_map(|site| Some((site.clone(), published.entry(&site)?)));
    let entry = |contents: &Arc<Contents>| Entry {
        row: Arc::new(row(contents, generation)),
        contents: Some(Arc::clone(contents)),
    };
    let own = contents.map(|contents| (site(name), entry(contents)));
    let entries: Vec<(SiteId, Entry)> = others.chain(own).collect();
    published.publish(Edition {
        world,
        generation: Generation(generation),
        rows: rows(entries.iter().map(|(site, entry)| (site.clone(), Row::clone(&entry.row)))),
        contents: entries.into_iter().filter_map(|(_, entry)| entry.contents).collect(),
    });
}

/// The hello of a site that runs nothing.
pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        protocol: PROTOCOL,
        site: name.to_owned(),
        manifest: vec![],
        list: vec![],
        schema: SCHEMA,
        boot: vec![7; BOOT_BYTES],
        epoch: 0,
        generation: 0,
        ..Hello::default()
    }
}

/// The hello of a site that runs what is published for it.
pub(crate) fn hello_of(name: &str, contents: &Contents, generation: u64) -> Hello {
    let (_, manifest) = skerry_core::ledger::encode(&row(contents, generation).manifest(&site(name), TERMS));
    let start = |digest: &Digest| digest.prefix().as_bytes().to_vec();
    let (manifest, list) = (start(&manifest), start(&contents.digest));
    Hello { manifest, list, ..hello(name) }
}
