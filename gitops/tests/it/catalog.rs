//! The rules of what counts and what is held, on values alone: no Git, no files.

use std::collections::BTreeMap;

use skerry_core::diagnostic::{Code, Diagnostic};
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::oid::{BlobId, CommitId};
use skerry_gitops::snapshot::catalog::{Batch, Catalog, Changed};
use skerry_gitops::snapshot::file::SourceFile;

use crate::repository::{UNREADABLE, file, key, refused, service};

/// A catalog that is fed step by step, each step as if from the commit of its number.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) catalog: Catalog,
    taken: u8,
}

pub(crate) fn commit(number: u8) -> CommitId {
    format!("{number:040x}").parse().unwrap()
}

fn blob(number: u8) -> BlobId {
    format!("{number:040x}").parse().unwrap()
}

impl Steps {
    pub(crate) fn take(&mut self, files: &[(&str, Option<String>)]) -> Changed {
        let read = |(path, text): &(&str, Option<String>)| {
            let read =
                text.as_ref().map(|text| SourceFile::read(path, Some(blob(self.taken + 1)), text.as_bytes()));
            ((*path).to_owned(), read)
        };
        let batch = files.iter().map(read).collect();
        self.apply(batch)
    }

    fn apply(&mut self, batch: Batch) -> Changed {
        let before = (self.taken > 0).then(|| commit(self.taken));
        self.taken += 1;
        self.catalog.apply(batch, before)
    }

    fn names(&self) -> Vec<String> {
        self.catalog.objects().map(|object| object.key.name.clone()).collect()
    }

    fn held(&self) -> Vec<(&str, CommitId)> {
        self.catalog.holds().iter().map(|(key, hold)| (key.name.as_str(), hold.commit)).collect()
    }

    fn line_of(&self, name: &str) -> u32 {
        self.catalog.object(&key(name)).unwrap().document.location.line
    }

    pub(crate) fn of_code(&self, code: Code) -> Vec<Diagnostic> {
        self.catalog.diagnostics().into_iter().filter(|diagnostic| diagnostic.code == code).collect()
    }
}

pub(crate) fn some(documents: &[String]) -> Option<String> {
    Some(file(documents))
}

pub(crate) fn changed(upserts: &[&str], deletes: &[&str]) -> Changed {
    Changed {
        upserts: upserts.iter().map(|name| key(name)).collect(),
        deletes: deletes.iter().map(|name| key(name)).collect(),
    }
}

#[test]
fn only_what_differs_is_reported() {
    let mut steps = Steps::default();
    let first = steps.take(&[("a.yaml", some(&[service("cart", 80), service("ads", 80)]))]);
    let second = steps.take(&[("a.yaml", some(&[service("cart", 80), service("ads", 81)]))]);
    let third =
        steps.take(&[("a.yaml", some(&[service("cart", 80)])), ("b.yaml", some(&[service("new", 80)]))]);
    let fourth = steps.take(&[("a.yaml", None), ("c.yaml", some(&[service("cart", 80)]))]);

    assert_eq!(first, changed(&["cart", "ads"], &[]));
    assert_eq!(second, changed(&["ads"], &[]));
    assert_eq!(third, changed(&["new"], &["ads"]));
    assert_eq!(fourth, changed(&["cart"], &[]), "moved: its place is part of it");
    assert_eq!(steps.names(), ["cart", "new"]);
}

#[test]
fn of_two_definitions_the_first_counts_and_both_places_are_named() {
    let mut steps = Steps::default();
    steps.take(&[
        ("b.yaml", some(&[service("ads", 80), service("cart", 81), service("cart", 82)])),
        ("a.yaml", some(&[service("cart", 80)])),
    ]);

    let duplicates = steps.of_code(Code::DuplicateObject);
    let places: Vec<_> = duplicates.iter().map(|diagnostic| diagnostic.location.to_string()).collect();
    assert_eq!(places.len(), 2);
    assert!(places.iter().all(|place| place.starts_with("b.yaml:")), "{places:?}");
    assert!(duplicates.iter().all(|diagnostic| diagnostic.message.contains("a.yaml:1")));
    assert_eq!(steps.catalog.object(&key("cart")).unwrap().document.location.file, "a.yaml");

    let gone = steps.take(&[("a.yaml", None)]);
    assert_eq!(gone, changed(&["cart"], &[]), "the next definition takes over");
    assert_eq!(steps.of_code(Code::DuplicateObject).len(), 1);
}

#[test]
fn a_refused_document_keeps_its_last_good_version_until_it_is_good() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("ads", 80), service("cart", 80)]))]);
    let line = steps.line_of("cart");

    let broken = steps.take(&[("a.yaml", some(&[refused("cart"), service("ads", 80)]))]);
    assert_eq!((broken, steps.held()), (changed(&["ads"], &[]), vec![("cart", commit(1))]));
    let notes = steps.of_code(Code::Held);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].message.contains(&format!("commit 00000000, a.yaml:{line}")), "{}", notes[0].message);

    let still = steps.take(&[("a.yaml", some(&[service("ads", 80), refused("cart")]))]);
    assert_eq!(
        (still.deletes.len(), steps.held()),
        (0, vec![("cart", commit(1))]),
        "the commit stays the same"
    );

    let good = steps.take(&[("a.yaml", some(&[service("ads", 80), service("cart", 81)]))]);
    assert_eq!(
        (good.upserts.contains(&key("cart")), steps.held(), steps.of_code(Code::Held)),
        (true, vec![], vec![])
    );
}

#[test]
fn removing_the_bad_document_removes_the_object() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("ads", 80), service("cart", 80)]))]);
    steps.take(&[("a.yaml", some(&[service("ads", 80), refused("cart")]))]);

    let removed = steps.take(&[("a.yaml", some(&[service("ads", 80)]))]);

    assert_eq!(removed, changed(&[], &["cart"]));
    assert_eq!((steps.held(), steps.of_code(Code::Held)), (vec![], vec![]));
}

#[test]
fn an_unreadable_document_holds_what_its_file_had_and_is_not_seen() {
    let mut steps = Steps::default();
    steps.take(&[
        ("a.yaml", some(&[service("ads", 80), service("cart", 80), service("moved", 80)])),
        ("b.yaml", some(&[service("other", 80)])),
    ]);

    let broken = steps.take(&[
        ("a.yaml", some(&[service("ads", 80), UNREADABLE.to_owned()])),
        ("b.yaml", some(&[service("moved", 80)])),
    ]);
    assert_eq!(broken, changed(&["moved"], &["other"]), "another file's removal is a removal");
    assert_eq!(steps.held(), [("cart", commit(1))]);
    assert_eq!(steps.of_code(Code::Held)[0].location.to_string(), "a.yaml");

    let readable = steps.take(&[("a.yaml", some(&[service("ads", 80)]))]);
    assert_eq!((readable, steps.held()), (changed(&[], &["cart"]), vec![]));
}

#[test]
fn a_document_without_a_name_may_be_any_object_of_its_file() {
    let nameless =
        "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("cart", 80)]))]);

    let broken = steps.take(&[("a.yaml", some(&[nameless.to_owned()]))]);

    assert_eq!((broken, steps.held()), (Changed::default(), vec![("cart", commit(1))]));
}

#[test]
fn a_mistyped_kind_holds_and_one_that_is_not_supported_does_not() {
    let document = |api_version: &str, kind: &str| {
        format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {{}}\n"
        )
    };
    let gateway = document("gateway.networking.k8s.io/v1", "Gateway");
    let mistyped = document("skerry.dev/v1alpha1", "TrafficPolcy");
    for (other, held) in [(gateway, false), (mistyped, true)] {
        let mut steps = Steps::default();
        steps.take(&[("a.yaml", some(&[service("cart", 80)]))]);

        let step = steps.take(&[("a.yaml", some(&[other]))]);

        assert_eq!((step.deletes.is_empty(), steps.catalog.holds().len()), (held, usize::from(held)));
    }
}

#[test]
fn a_file_over_budget_holds_all_that_it_had() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("ads", 80), service("cart", 80)]))]);

    let large = SourceFile::over_budget("a.yaml", Some(blob(9)), FILE_BYTES + 1);
    let broken = steps.apply(BTreeMap::from([("a.yaml".to_owned(), Some(large))]));

    assert_eq!((broken, steps.names()), (Changed::default(), vec!["ads".to_owned(), "cart".to_owned()]));
    assert_eq!(steps.of_code(Code::BudgetExceeded).len(), 1);
    let gone = steps.take(&[("a.yaml", None)]);
    assert_eq!(gone, changed(&[], &["ads", "cart"]), "deleting the file is meant");
}

#[test]
fn a_file_that_is_renamed_and_broken_at_once_loses_nothing() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("ads", 80), service("cart", 80)]))]);

    let renamed =
        steps.take(&[("a.yaml", None), ("b.yaml", some(&[service("ads", 80), UNREADABLE.to_owned()]))]);
    assert_eq!((renamed, steps.held()), (changed(&["ads"], &[]), vec![("cart", commit(1))]));

    let again =
        steps.take(&[("b.yaml", None), ("c.yaml", some(&[service("ads", 80), UNREADABLE.to_owned()]))]);
    assert_eq!((again.deletes.len(), steps.held()), (0, vec![("cart", commit(1))]));

    let readable = steps.take(&[("c.yaml", some(&[service("ads", 80)]))]);
    assert_eq!((readable, steps.held()), (changed(&[], &["cart"]), vec![]));
}

#[test]
fn a_refused_document_hides_no_good_one() {
    let mut steps = Steps::default();
    steps.take(&[("b.yaml", some(&[service("cart", 80)]))]);

    let step = steps.take(&[("a.yaml", some(&[refused("cart")]))]);

    assert_eq!((step, steps.held()), (Changed::default(), vec![]));
    assert_eq!(steps.catalog.object(&key("cart")).unwrap().document.location.file, "b.yaml");
}

#[test]
fn a_refused_document_of_an_object_that_never_was_holds_nothing() {
    let mut steps = Steps::default();
    steps.take(&[("b.yaml", some(&[service("ads", 80)]))]);

    let step = steps.take(&[("a.yaml", some(&[refused("cart"), UNREADABLE.to_owned()]))]);

    assert_eq!((step, steps.held(), steps.names()), (Changed::default(), vec![], vec!["ads".to_owned()]));
}

#[test]
fn a_hold_goes_on_when_a_refused_document_becomes_unreadable() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[service("cart", 80)]))]);
    steps.take(&[("a.yaml", None), ("b.yaml", some(&[refused("cart")]))]);
    steps.take(&[("b.yaml", some(&[UNREADABLE.to_owned()]))]);

    assert_eq!(steps.held(), [("cart", commit(1))]);
    assert_eq!(steps.catalog.holds()[&key("cart")].waits_for, "b.yaml");
    assert_eq!(steps.catalog.holds()[&key("cart")].path, "a.yaml");
}

#[test]
fn documents_of_other_systems_are_counted() {
    let kustomization =
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\n".to_owned();
    let values = "replicas: 3\nimage: ${IMAGE}\n".to_owned();
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", some(&[kustomization.clone(), values])), ("b.yaml", some(&[kustomization]))]);
    let count = |steps: &Steps| steps.catalog.foreign().clone().into_iter().collect::<Vec<_>>();

    assert_eq!(count(&steps), [("(no kind)".to_owned(), 1), ("Kustomization".to_owned(), 2)]);
    steps.take(&[("a.yaml", None)]);
    assert_eq!(count(&steps), [("Kustomization".to_owned(), 1)]);
    assert!(steps.catalog.diagnostics().is_empty());
}
