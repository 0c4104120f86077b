//! Files of a policy repository: from bytes to bundles.
//!
//! Whatever a file says, each diagnostic has its place in it, and what compiles verifies (invariants 1, 7 and 11).

use std::sync::Arc;

use skerry_core::bundle::{Contents, v1};
use skerry_core::diagnostic::Diagnostic;
use skerry_core::id::{Digest, Kind, NamespacedName, ObjectKey};
use skerry_core::ledger::encode;
use skerry_core::policy::{Decoded, Object};
use skerry_core::verify::verify;
use skerry_core::world::{Age, World};
use skerry_crds::{decode, decode_policy_source, decode_workload, parse};

use crate::Reach;

/// The name that the file has.
const FILE: &str = "policy.yaml";

/// Reads, decodes, compiles and verifies. Taken if a site would run something other than settings.
pub fn body(bytes: &[u8]) -> Reach {
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let parsed = parse(FILE, bytes);
    parsed.diagnostics.iter().for_each(|diagnostic| check(diagnostic, lines));
    let mut objects = Vec::new();
    for document in &parsed.documents {
        let workload = decode_workload(document).err().unwrap_or_default();
        let source = decode_policy_source(document).err().unwrap_or_default();
        let decoded = match decode(document) {
            Decoded::Object(object, diagnostics) => {
                objects.push((*object, Age::Known(0)));
                diagnostics
            }
            Decoded::Refused { diagnostics, .. } => diagnostics,
            Decoded::Foreign { .. } => Vec::new(),
        };
        [workload, source, decoded].iter().flatten().for_each(|diagnostic| check(diagnostic, lines));
    }
    Reach::of(compile(objects))
}

/// A mistake is said with its place, and with what would help.
fn check(diagnostic: &Diagnostic, lines: usize) {
    assert!(!diagnostic.help.is_empty(), "{diagnostic}");
    assert_eq!(diagnostic.location.file, FILE, "{diagnostic}");
    assert!(
        usize::try_from(diagnostic.location.line).is_ok_and(|line| (1..=lines).contains(&line)),
        "{diagnostic}"
    );
}

/// Says whether there is a site that runs a service.
fn compile(objects: Vec<(Object, Age)>) -> bool {
    let mut world = World::new(objects);
    let services = world.objects.keys().filter(|key| key.kind == Kind::Service);
    let services: Vec<NamespacedName> = services.map(ObjectKey::namespaced_name).collect();
    world.indexes.assign(&services);
    let compiled = skerry_core::index::compile(&world, decode);
    compiled.all_contents().for_each(verify_contents);
    compiled.sites().any(|site| compiled.contents(site).is_some_and(|contents| contents.fragments.len() > 1))
}

/// What is compiled is what a site takes.
fn verify_contents(contents: &Arc<Contents>) {
    let manifest =
        v1::Manifest { list: contents.digest.as_bytes().to_vec(), schema: 1, ..v1::Manifest::default() };
    let find = |id: &Digest| {
        let found = contents.fragments.iter().find(|fragment| fragment.id == *id);
        found.map(|fragment| Arc::clone(&fragment.bytes))
    };
    let verified = verify(&encode(&manifest).0, &contents.list, find);
    assert!(verified.is_ok(), "what was compiled is not verified: {verified:?}");
}
