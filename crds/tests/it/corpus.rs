//! Real manifests of other projects: every file is read, what we support compiles, the rest is named once.
//!
//! The corpora are not part of the repository; without them the tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::{Code, Diagnostic, Severity};
use skerry_core::policy::Decoded;
use skerry_crds::{decode, parse};

fn corpus(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora").join(folder);
    if !path.is_dir() {
        // Past the harness, which keeps what a passing test prints to itself.
        let words = format!("skipped: there are no corpora at ../shared/corpora/{folder}\n");
        let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        return None;
    }
    Some(path)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// How many objects of each kind, and what was said about them.
#[derive(Default)]
struct Tally {
    files: usize,
    objects: BTreeMap<String, usize>,
    refused: usize,
    foreign: usize,
    diagnostics: Vec<Diagnostic>,
}

fn tally(folder: &Path) -> Tally {
    let mut tally = Tally::default();
    for file in yaml_files(folder) {
        let name = file.strip_prefix(folder).expect("it is below").display().to_string();
        let parsed = parse(&name, &std::fs::read(&file).expect("the file can be read"));
        assert_eq!(parsed.diagnostics, [], "{name}");
        tally.files += 1;
        for document in &parsed.documents {
            match decode(document) {
                Decoded::Object(object, diagnostics) => {
                    *tally.objects.entry(object.key.kind.to_string()).or_default() += 1;
                    tally.diagnostics.extend(diagnostics);
                }
                Decoded::Refused { diagnostics, .. } => {
                    tally.refused += 1;
                    tally.diagnostics.extend(diagnostics);
                }
                Decoded::Foreign { .. } => tally.foreign += 1,
            }
        }
    }
    tally
}

impl Tally {
    fn objects(&self) -> Vec<(&str, usize)> {
        self.objects.iter().map(|(kind, count)| (kind.as_str(), *count)).collect()
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        errors.map(ToString::to_string).collect()
    }

    fn of_code(&self, code: Code) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.code == code).count()
    }
}

#[test]
fn bookinfo_compiles() {
    let Some(folder) = corpus("bookinfo") else { return };
    let tally = tally(&folder);
    assert_eq!(tally.errors(), [] as [String; 0]);
    assert_eq!(tally.files, 7);
    assert_eq!(tally.objects(), [("HTTPRoute", 9), ("Service", 4)]);
    // The Gateway, and the route that attaches to it.
    assert_eq!((tally.refused, tally.of_code(Code::Unsupported), tally.diagnostics.len()), (1, 2, 2));
    assert_eq!(tally.foreign, 10);
}

#[test]
fn online_boutique_compiles() {
    let Some(folder) = corpus("online-boutique") else { return };
    let tally = tally(&folder);
    assert_eq!(tally.objects(), [("Service", 12)]);
    assert_eq!((tally.refused, tally.foreign), (0, 36));
    assert_eq!(tally.diagnostics, []);
}

#[test]
fn examples_of_the_gateway_api_are_read_and_what_has_no_effect_is_named_once() {
    let Some(folder) = corpus("gateway-api") else { return };
    let tally = tally(&folder);
    assert_eq!(tally.files, 103);
    assert_eq!(tally.errors(), [] as [String; 0]);
    assert_eq!(tally.objects(), [("HTTPRoute", 68), ("Service", 3)]);
    assert_eq!((tally.refused, tally.foreign), (52, 16));
    let places: BTreeSet<_> =
        tally.diagnostics.iter().map(|it| (&it.location.file, it.location.line)).collect();
    assert_eq!((tally.diagnostics.len(), places.len()), (100, 100));
    // 52 other kinds and 36 routes of gateways; 12 routes name no parent at all.
    assert_eq!((tally.of_code(Code::Unsupported), tally.of_code(Code::InvalidValue)), (88, 12));
}

#[test]
fn mesh_conformance_routes_compile_without_a_word() {
    let Some(folder) = corpus("gateway-api/mesh") else { return };
    let tally = tally(&folder);
    assert_eq!((tally.refused, tally.diagnostics.len()), (2, 2), "two GRPCRoutes");
}
