//! Real repositories: every file is read without a crash. Skipped where the corpora are not beside the repository.

use std::path::{Path, PathBuf};

use skerry::args::source::{RevisionArgs, SourceArgs};
use skerry::output::diagnostics;
use skerry::output::paint::Paint;
use skerry::output::progress::Progress;
use skerry::source::commit::Lookup;
use skerry::source::policy::Policy;

use crate::folder::Folder;
use crate::policy::WORKLOADS;
use crate::run::skerry;

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora");

/// Finds a folder of the corpora; says so when it is not there.
fn corpus(name: &str) -> Option<PathBuf> {
    let path = Path::new(CORPORA).join(name);
    if !path.is_dir() {
        // Past the harness, which keeps what a passing test prints to itself.
        let words = format!("skipped: there are no corpora at ../shared/corpora/{name}\n");
        let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        return None;
    }
    Some(path)
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => yaml_files(&path, found),
            Some("yaml" | "yml") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_file_is_read_alone() {
    let Some(corpora) = corpus("") else { return };
    let mut files = Vec::new();
    yaml_files(&corpora, &mut files);
    assert!(files.len() > 50, "{}", files.len());
    for file in files {
        let folder = Folder::empty();
        folder.write("file.yaml", std::fs::read(&file).unwrap());
        let source = folder.path().to_str().unwrap().to_owned();
        let args = RevisionArgs { source: SourceArgs { source, path: String::new() }, rev: None };
        let policy = Policy::read(&args, Progress::Hidden).unwrap();
        assert_eq!(policy.loaded.files, 1, "{}", file.display());
        let lookup = Lookup::open(&policy.loaded.origin);
        let text = diagnostics::render(&policy.diagnostics, "", &|file| lookup.text(file), Paint::Plain);
        let heads = policy.diagnostics.iter().filter(|diagnostic| text.contains(&diagnostic.message));
        assert_eq!(heads.count(), policy.diagnostics.len(), "{}: {text}", file.display());
    }
}

#[test]
fn each_corpus_is_read_and_rendered_as_a_whole() {
    for name in ["bookinfo", "online-boutique", "gateway-api/examples", "gateway-api/mesh"] {
        let Some(corpus) = corpus(name) else { return };
        let folder = Folder::empty();
        let corpus = corpus.to_str().unwrap();
        let validated = skerry(folder.path(), &["validate", "-o", "json", "--source", corpus]);
        let rendered = skerry(folder.path(), &["render", "bundle", "--site", "edge", "--source", corpus]);
        assert_eq!(validated.code, rendered.code, "{name}");
        let report: serde_json::Value = serde_json::from_str(&validated.stdout).unwrap();
        assert!(report["summary"]["objects"].as_u64() > Some(0), "{name}");
        let bundle: serde_json::Value = serde_json::from_str(&rendered.stdout).unwrap();
        assert!(!bundle["fragments"].as_array().unwrap().is_empty(), "{name}");
    }
}

/// Bookinfo's routes name a service for each version, which come in a file of their own.
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

fn version_service(version: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: reviews-{version}}}\n\
         spec: {{selector: {{app: reviews, version: {version}}}, ports: [{{name: http, port: 9080}}]}}\n"
    )
}

#[test]
fn routes_of_bookinfo_are_rendered_for_envoy() {
    let Some(bookinfo) = corpus("bookinfo") else { return };
    let routes = ["route-reviews-90-10", "route-reviews-50-v3", "route-reviews-v1", "route-reviews-v3"];
    for route in routes {
        let folder =
            Folder::of(&[("workloads/w.yaml", &WORKLOADS.replace("namespace: shop", "namespace: default"))]);
        let read = |path: &str| std::fs::read(bookinfo.join(path)).unwrap();
        folder.write("policies/bookinfo.yaml", read("bookinfo.yaml"));
        folder.write("policies/versions.yaml", VERSIONS.map(version_service).join("---\n"));
        folder.write("policies/route.yaml", read(&format!("gateway-api/{route}.yaml")));
        let policies = ["render", "envoy", "--source", "policies", "--site", "edge", "--static"];
        let proxy = ["--workload", "default/reviews-1", "--workloads", "workloads"];
        let ran = skerry(folder.path(), &[policies.as_slice(), &proxy].concat());
        assert_eq!(ran.code, 0, "{route}: {ran}");
        let bootstrap: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(bootstrap["static_resources"]["listeners"].as_array().unwrap().len() > 1, "{route}");
    }
}
