//! The rules of what counts for documents that can be used and have errors.

use serde_json::Value;
use skerry_core::diagnostic::{Code, has_errors};
use skerry_gitops::oid::CommitId;

use crate::catalog::{Steps, changed, commit, some};
use crate::repository::{State, UNREADABLE, route, route_key, service};

/// The text of a file: a letter for the state of the route, and a number to tell its version.
fn text(letter: char, version: u16) -> Option<String> {
    let document = match letter {
        'G' => route("cart", version, State::Good),
        'W' => route("cart", version, State::Warned),
        'F' => route("cart", version, State::Flawed),
        'R' => route("cart", version, State::Refused),
        'U' => UNREADABLE.to_owned(),
        '-' => service("other", 80),
        _ => return None,
    };
    some(&[document])
}

/// Takes `a.yaml` and `b.yaml` through their states, a letter for each step.
fn follow(a: &str, b: &str) -> Steps {
    let mut steps = Steps::default();
    for (number, (a, b)) in (1_u16..).zip(a.chars().zip(b.chars())) {
        steps.take(&[("a.yaml", text(a, number)), ("b.yaml", text(b, number + 100))]);
    }
    steps
}

/// The version in force, and the commit of its hold.
fn outcome(steps: &Steps) -> (Option<u16>, Option<CommitId>) {
    let object = steps.catalog.object(&route_key("cart"));
    let version = object.map(|object| {
        let port =
            object.document.value().pointer("/spec/rules/0/backendRefs/0/port").and_then(Value::as_u64);
        u16::try_from(port.unwrap()).unwrap()
    });
    (version, steps.catalog.holds().get(&route_key("cart")).map(|hold| hold.commit))
}

#[test]
fn a_flawed_document_keeps_the_good_version_and_counts_where_there_is_none() {
    let cases: [(&str, Option<u16>, Option<u8>); 21] = [
        ("G", Some(1), None),
        ("GW", Some(2), None),
        ("GF", Some(1), Some(1)),
        ("GGF", Some(2), Some(2)),
        ("WF", Some(1), Some(1)),
        ("GFF", Some(1), Some(1)),
        ("GFG", Some(3), None),
        ("GFW", Some(3), None),
        ("GFGF", Some(3), Some(3)),
        ("GF-", None, None),
        ("GFx", None, None),
        ("GF-F", Some(4), None),
        ("GFR", Some(1), Some(1)),
        ("GRF", Some(1), Some(1)),
        ("GUF", Some(1), Some(1)),
        ("GFU", Some(1), Some(1)),
        ("F", Some(1), None),
        ("FF", Some(2), None),
        ("RF", Some(2), None),
        ("FR", Some(1), Some(1)),
        ("FRF", Some(3), None),
    ];
    for (states, version, held) in cases {
        let steps = follow(states, &"x".repeat(states.len()));

        assert_eq!(outcome(&steps), (version, held.map(commit)), "{states}");
        assert_eq!(steps.of_code(Code::Held).len(), usize::from(held.is_some()), "{states}");
        let is_bad = states.ends_with(['F', 'R', 'U']);
        assert_eq!(has_errors(&steps.catalog.diagnostics()), is_bad, "{states}: errors are told");
    }
}

#[test]
fn a_flawed_document_hides_no_good_one() {
    let cases = [
        ("F", "G", 101, None, 1),
        ("G", "F", 1, None, 1),
        ("F", "F", 1, None, 1),
        ("R", "F", 101, None, 0),
        ("xF", "GG", 102, None, 1),
        ("Gx", "FF", 1, Some(1), 0),
        ("FF", "GF", 101, Some(1), 0),
        ("FFG", "GFF", 3, None, 1),
    ];
    for (a, b, version, held, duplicates) in cases {
        let steps = follow(a, b);

        assert_eq!(outcome(&steps), (Some(version), held.map(commit)), "{a} {b}");
        assert_eq!(steps.of_code(Code::DuplicateObject).len(), duplicates, "{a} {b}");
    }
}

#[test]
fn a_flawed_document_changes_nothing_and_is_told_with_the_version_that_stays() {
    let mut steps = Steps::default();
    steps.take(&[("a.yaml", text('G', 80))]);

    let step = steps.take(&[("a.yaml", text('F', 81))]);

    assert_eq!(step, changed(&[], &[]));
    let told: Vec<_> = steps.catalog.diagnostics().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}
