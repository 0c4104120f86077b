//! Properties that hold for all input.

use std::collections::BTreeMap;

use proptest::prelude::*;
use skerry_core::diagnostic::Diagnostic;
use skerry_core::document::{Document, field_path};
use skerry_core::policy::Decoded;
use skerry_crds::{decode, decode_policy_source, decode_workload, load_workloads, parse};

const GOOD: [&str; 4] = [
    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: [{port: 80}]",
    "kind: Foreign\nvalue: |\n  text\n  --- more",
    "- a\n- b: [1, 2]",
    "{\"json\": {\"nested\": [true, null]}}",
];

/// Text made of what YAML is made of, so that more of it means something.
fn yaml_like() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("---\n"),
        Just("...\n"),
        Just("- "),
        Just(": "),
        Just("\n"),
        Just("  "),
        Just("&a "),
        Just("*a"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just("# "),
        Just("? "),
        Just("<<"),
        Just("!!str "),
        Just("%YAML 1.2\n"),
        Just("a"),
        Just("1"),
        Just("\t"),
        Just("\u{feff}"),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// A document of a kind that we decode, with a spec of any content.
fn spec_like() -> impl Strategy<Value = String> {
    let heads = prop_oneof![
        Just("v1\nkind: Service"),
        Just("gateway.networking.k8s.io/v1\nkind: HTTPRoute"),
        Just("skerry.dev/v1alpha1\nkind: Mesh"),
        Just("skerry.dev/v1alpha1\nkind: Site"),
        Just("skerry.dev/v1alpha1\nkind: TrafficPolicy"),
        Just("skerry.dev/v1alpha1\nkind: AuthorizationPolicy"),
        Just("skerry.dev/v1alpha1\nkind: SiteOverride"),
        Just("skerry.dev/v1alpha1\nkind: PolicySource"),
        Just("skerry.dev/v1alpha1\nkind: Workload"),
    ];
    let fields = prop_oneof![
        Just("ports"),
        Just("rules"),
        Just("parentRefs"),
        Just("matches"),
        Just("path"),
        Just("type"),
        Just("value"),
        Just("filters"),
        Just("backendRefs"),
        Just("name"),
        Just("port"),
        Just("timeouts"),
        Just("request"),
        Just("patches"),
        Just("target"),
        Just("kind"),
        Just("merge"),
        Just("json"),
        Just("targetRefs"),
        Just("action"),
        Just("from"),
        Just("to"),
        Just("serviceAccounts"),
        Just("spiffeIDs"),
        Just("paths"),
        Just("sites"),
        Just("matchLabels"),
        Just("proxy"),
        Just("address"),
        Just("url"),
    ];
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("-1".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("Service".to_owned()),
        Just("PathPrefix".to_owned()),
        Just("/a/".to_owned()),
        Just("10s".to_owned()),
        "[a-z(\\[*+?|]{0,6}".prop_map(|text| format!("{text:?}")),
    ];
    let value = leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(fields.clone(), inner, 0..4).prop_map(|map| {
                let fields = map.into_iter().map(|(name, value)| format!("{name}: {value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }),
        ]
    });
    (heads, value)
        .prop_map(|(head, spec)| format!("apiVersion: {head}\nmetadata: {{name: x}}\nspec: {spec}\n"))
}

fn decode_everything(bytes: &[u8]) {
    for document in parse("f.yaml", bytes).documents {
        let _ = decode(&document);
        let _ = decode_workload(&document);
        let _ = decode_policy_source(&document);
    }
    let _ = load_workloads(&[("f.yaml".to_owned(), bytes.to_vec())]);
}

/// Everything that is said about a document, whatever it is read as.
fn diagnostics(document: &Document) -> Vec<Diagnostic> {
    let decoded = match decode(document) {
        Decoded::Object(_, diagnostics) | Decoded::Refused { diagnostics, .. } => diagnostics,
        Decoded::Foreign { .. } => Vec::new(),
    };
    let workload = decode_workload(document).err().unwrap_or_default();
    let source = decode_policy_source(document).err().unwrap_or_default();
    [decoded, workload, source].concat()
}

fn places(document: &Document) -> BTreeMap<String, (u32, u32)> {
    document.spans.0.iter().map(|(pointer, place)| (field_path(pointer), *place)).collect()
}

/// The place of a field, or of its nearest parent that the text has.
fn nearest(field: &str, places: &BTreeMap<String, (u32, u32)>) -> (u32, u32) {
    let mut path = field;
    while !places.contains_key(path) {
        path = &path[..path.rfind(['.', '[']).unwrap_or_default()];
    }
    places[path]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decode_everything(&bytes);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in yaml_like()) {
        decode_everything(text.as_bytes());
    }

    #[test]
    fn no_spec_makes_it_panic(text in spec_like()) {
        decode_everything(text.as_bytes());
    }

    /// Invariant 7: whatever stands between two markers, the documents around it are read as without it.
    #[test]
    fn one_document_of_any_content_loses_no_other(
        before in prop::sample::subsequence(GOOD.to_vec(), 1..=4),
        between in prop_oneof![yaml_like(), "\\PC*"],
        after in prop::sample::subsequence(GOOD.to_vec(), 1..=4),
    ) {
        let values = |text: &str| parse("f.yaml", text.as_bytes()).documents.into_iter().map(|it| it.value).collect::<Vec<_>>();
        let (before, after) = (before.join("\n---\n"), after.join("\n---\n"));
        let all = values(&format!("{before}\n---\n{between}\n---\n{after}\n"));
        prop_assert!(all.starts_with(&values(&before)));
        prop_assert!(all.ends_with(&values(&after)));
    }

    /// Invariant 1: equal input gives an equal list of diagnostics.
    #[test]
    fn decoding_is_deterministic(text in spec_like()) {
        let decoded = || parse("f.yaml", text.as_bytes()).documents.iter().map(decode).collect::<Vec<_>>();
        prop_assert_eq!(decoded(), decoded());
    }

    /// Whatever is wrong with a document, it is said with a place, and what would help; and the place is that of the field.
    #[test]
    fn invariant_11_every_diagnostic_of_a_document_has_its_place_and_a_help_line(text in spec_like()) {
        for document in parse("f.yaml", text.as_bytes()).documents {
            let places = places(&document);
            for found in diagnostics(&document) {
                prop_assert!(!found.help.is_empty(), "{}", found);
                prop_assert_eq!(&found.location.file, "f.yaml");
                prop_assert_eq!((found.location.line, found.location.column), nearest(&found.field, &places), "{}", found);
            }
        }
    }

    /// Places point into the file.
    #[test]
    fn every_place_is_a_line_of_the_file(text in yaml_like()) {
        let parsed = parse("f.yaml", text.as_bytes());
        let lines = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
        for document in &parsed.documents {
            prop_assert!(document.spans.0.values().all(|(line, column)| (1..=lines).contains(line) && *column > 0));
        }
        for diagnostic in &parsed.diagnostics {
            prop_assert!((1..=lines).contains(&diagnostic.location.line), "{}", diagnostic);
        }
    }
}
