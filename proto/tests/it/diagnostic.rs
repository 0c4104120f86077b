//! Diagnostics keep every field over the wire.

use skerry_core::diagnostic::{Code, Diagnostic, Location};
use skerry_core::id::{Kind, ObjectKey};
use skerry_proto::diagnostic::{MAX_TEXT_BYTES, from_wire, to_wire};

fn samples() -> Vec<Diagnostic> {
    let at = Location { file: "shop/checkout.yaml".to_owned(), line: 12, column: 5 };
    let route = ObjectKey::new(Kind::HttpRoute, "shop", "checkout");
    let mut samples = vec![
        Diagnostic::error(Code::DanglingReference, at.clone(), "there is no service `shop/cart`")
            .object(route)
            .field("spec.rules[0].backendRefs[1]")
            .help("name a service of this repository"),
        Diagnostic::warning(Code::Tie, at, "two routes tie"),
        Diagnostic::error(Code::InvalidYaml, Location::file("big.yaml"), "too long"),
    ];
    samples.extend(Kind::ALL.map(|kind| {
        Diagnostic::error(Code::Held, Location::default(), "held").object(ObjectKey::new(kind, "shop", "a"))
    }));
    samples
}

#[test]
fn every_field_comes_back() {
    for diagnostic in samples() {
        assert_eq!(from_wire(&to_wire(&diagnostic)).unwrap(), diagnostic);
    }
}

#[test]
fn a_newer_peers_code_is_an_error_that_names_it() {
    let mut wire = to_wire(&samples()[0]);
    wire.code = "Newfangled".to_owned();
    let message = from_wire(&wire).unwrap_err().to_string();
    assert_eq!(message, "`Newfangled` is not a diagnostic code that this version knows");
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = format!("a{}", "ä".repeat(MAX_TEXT_BYTES));
    let diagnostic =
        Diagnostic::error(Code::InvalidYaml, Location::default(), long.clone()).field(&long).help(&long);
    let wire = to_wire(&diagnostic);
    let expected = format!("a{}", "ä".repeat(MAX_TEXT_BYTES / 2 - 1));
    assert_eq!([wire.field, wire.message, wire.help], [&*expected; 3]);
}
