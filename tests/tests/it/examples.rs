//! Every example and every fixture compiles without an error, and the examples without a warning too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::{Diagnostic, Severity};
use skerry_core::world::World;
use skerry_gitops::snapshot::load::load_folder;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads and compiles a policy folder as `skerry validate` does; returns what was said and the sites.
fn compile(folder: &Path) -> (Vec<Diagnostic>, Vec<String>) {
    let loaded = load_folder(folder, "").expect("the folder can be read");
    let mut world = World::new(loaded.objects);
    let services = world.objects.keys().filter(|key| key.kind == skerry_core::id::Kind::Service);
    let services: Vec<_> = services.map(skerry_core::id::ObjectKey::namespaced_name).collect();
    world.indexes.assign(&services);
    let compiled = skerry_core::index::compile(&world, skerry_crds::decode);
    for site in compiled.sites() {
        let contents = compiled.contents(site).expect("every site has contents");
        assert_eq!(contents.fragments.len(), services.len() + 1, "{site} has its settings and every service");
    }
    let diagnostics = loaded.diagnostics.into_iter().chain(compiled.diagnostics.iter().cloned()).collect();
    (diagnostics, compiled.sites().map(ToString::to_string).collect())
}

#[test]
fn every_example_compiles() {
    let expected = [
        ("three-sites", vec!["bergen", "oslo", "tromso"]),
        ("bookinfo-style", vec!["harbour", "lighthouse"]),
        ("online-boutique", vec!["harbour", "market"]),
    ];
    for (name, sites) in &expected {
        let (diagnostics, found) = compile(&workspace().join("examples").join(name));
        assert_eq!(diagnostics, [], "{name}");
        assert_eq!(&found, sites, "{name}");
    }
    let folders = fs_err::read_dir(workspace().join("examples")).expect("there are examples").flatten();
    let folders = folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(
        folders,
        expected.iter().map(|(name, _)| (*name).to_owned()).collect(),
        "every example is compiled here"
    );
}

#[test]
fn every_example_says_what_it_shows() {
    for entry in fs_err::read_dir(workspace().join("examples")).expect("there are examples").flatten() {
        assert!(
            entry.path().is_file() || entry.path().join("README.md").is_file(),
            "{:?} has no README",
            entry.path()
        );
    }
}

#[test]
fn the_fixture_of_commit_to_socket_has_only_the_mistakes_that_it_is_about() {
    let (diagnostics, _) = compile(&workspace().join("tests/fixtures/answers"));
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let fields: Vec<_> = errors.map(|error| (error.code.to_string(), error.location.file.as_str())).collect();
    let expected = |code: &str, file| (code.to_owned(), file);
    let dangling = expected("DanglingReference", "backends.yaml");
    assert_eq!(fields, [dangling.clone(), dangling, expected("Tie", "matches.yaml")], "{diagnostics:#?}");
}
