//! Bytes → documents: splitting, places, budgets.

use std::time::{Duration, Instant};

use serde_json::json;
use skerry_core::diagnostic::Code;
use skerry_crds::parse;
use skerry_crds::yaml::{MAX_DEPTH, MAX_DOCUMENTS, MAX_FILE_BYTES, Parsed};

use crate::outcome::lines;

fn read(text: &str) -> Parsed {
    parse("f.yaml", text.as_bytes())
}

#[test]
fn splits_at_markers_and_nowhere_else() {
    let cases: &[(&str, &[serde_json::Value])] = &[
        ("&k a: 1\nb: *k\n", &[json!({"a": 1, "b": "a"})]),
        ("x: &k a\n*k : 2\n", &[json!({"x": "a", "a": 2})]),
        (
            "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y], c: 3}\n",
            &[json!({
                "x": {"a": 1}, "y": {"a": 2, "b": 2}, "z": {"c": 3, "a": 1, "b": 2}
            })],
        ),
        ("\"<<\": 1\n", &[json!({"<<": 1})]),
        ("", &[]),
        ("# only a comment\n---\n\n---\n# another\n", &[]),
        ("a: 1", &[json!({"a": 1})]),
        ("a: 1\n---\nb: 2\n", &[json!({"a": 1}), json!({"b": 2})]),
        ("a: 1\r\n---\r\nb: 2\r\n", &[json!({"a": 1}), json!({"b": 2})]),
        ("--- # head\na: 1\n...\n# between\nb: 2\n", &[json!({"a": 1}), json!({"b": 2})]),
        ("--- {a: 1}\n--- [x]\n--- |\n text\n", &[json!({"a": 1}), json!(["x"]), json!("text\n")]),
        ("%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2\n", &[json!({"a": 1}), json!({"b": 2})]),
        ("a: |\n  ---\n  ...\nb: 1\n", &[json!({"a": "---\n...\n", "b": 1})]),
        ("a: ---x\n", &[json!({"a": "---x"})]),
        ("\u{feff}a: 1\n", &[json!({"a": 1})]),
        ("a: 1\n---", &[json!({"a": 1})]),
        ("{\n\t\"a\": [1,\n\t2]\n}\n", &[json!({"a": [1, 2]})]),
        ("{\"a\": \"\\ud83d\\ude00 \\/\"}", &[json!({"a": "😀 /"})]),
    ];
    for (text, expected) in cases {
        let parsed = read(text);
        assert_eq!(lines(&parsed.diagnostics), "", "{text:?}");
        let values: Vec<_> = parsed.documents.into_iter().map(|document| document.value).collect();
        assert_eq!(values, *expected, "{text:?}");
    }
}

#[test]
fn scalars_are_those_of_yaml_1_2_with_strict_booleans() {
    let text = "a: yes\nb: on\nc: true\nd: 0755\ne: 1_000\nf: 0x10\ng: ~\nh: .inf\ni: !!binary aGk=\nj: !Sub x\nk: 1.5\n1: one\n";
    let expected = json!({
        "a": "yes", "b": "on", "c": true, "d": "0755", "e": "1_000", "f": 16, "g": null, "h": ".inf",
        "i": "aGk=", "j": "x", "k": 1.5, "1": "one",
    });
    assert_eq!(read(text).documents[0].value, expected);
}

#[test]
fn every_field_has_its_place_in_the_whole_file() {
    let text = "# head\na: 1\n---\nspec:\n  rules:\n  - name: x\n    \"/p~q\": [1, two]\n";
    let parsed = read(text);
    let document = &parsed.documents[1];
    assert_eq!(document.location.to_string(), "f.yaml:4:1");
    let cases = [
        ("", "f.yaml:4:1"),
        ("/spec", "f.yaml:4:1"),
        ("/spec/rules", "f.yaml:5:3"),
        ("/spec/rules/0", "f.yaml:6:5"),
        ("/spec/rules/0/name", "f.yaml:6:11"),
        ("/spec/rules/0/~1p~0q", "f.yaml:7:5"),
        ("/spec/rules/0/~1p~0q/1", "f.yaml:7:17"),
        ("/spec/rules/0/missing/below", "f.yaml:6:5"),
    ];
    for (pointer, expected) in cases {
        assert_eq!(document.locate(pointer).to_string(), expected, "{pointer}");
    }
}

#[test]
fn a_value_from_an_alias_or_a_merge_is_placed_where_it_is_written() {
    let parsed = read("base: &base\n  port: 1\none: *base\ntwo:\n  <<: *base\n  name: x\n");
    let document = &parsed.documents[0];
    assert_eq!(document.value["one"], json!({"port": 1}));
    assert_eq!(document.value["two"], json!({"name": "x", "port": 1}));
    assert_eq!(document.locate("/one/port").line, 2);
    assert_eq!(document.locate("/two/port").line, 2);
}

#[test]
fn a_list_is_its_items() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n---\nkind: List\napiVersion: v1\nitems: []\n---\nkind: C\n";
    let parsed = read(text);
    let values: Vec<_> = parsed.documents.iter().map(|document| document.value["kind"].clone()).collect();
    assert_eq!(values, [json!("A"), json!("B"), json!("C")]);
    assert_eq!(parsed.documents[0].location.to_string(), "f.yaml:4:3");
    assert_eq!(parsed.documents[0].locate("/spec/x").to_string(), "f.yaml:5:13");
    assert_eq!(parsed.documents[1].locate("/kind").to_string(), "f.yaml:6:9");
}

/// Invariant 7: one bad document hurts only itself.
#[test]
fn a_bad_document_hides_no_other() {
    let bad = [
        "a: [1, 2",
        "a: 'x",
        "a:\n\tb: 1",
        "a: 1\na: 2",
        "}",
        "a: *nope",
        "{{ .Values.x }}",
        "? [k]\n: v",
        "a: \u{1}",
    ];
    for text in bad {
        let parsed = read(&format!("first: 1\n---\n{text}\n---\nlast: 1\n"));
        assert_eq!(parsed.unreadable, 1, "{text:?}");
        assert_eq!(parsed.diagnostics.len(), 1, "{text:?}");
        assert_eq!(parsed.diagnostics[0].code, Code::InvalidYaml, "{text:?}");
        assert!((3..=5).contains(&parsed.diagnostics[0].location.line), "{}", parsed.diagnostics[0]);
        let values: Vec<_> = parsed.documents.into_iter().map(|document| document.value).collect();
        assert_eq!(values, [json!({"first": 1}), json!({"last": 1})], "{text:?}");
    }
}

fn bomb(width: usize, depth: usize) -> String {
    let mut text = format!("a0: &a0 [{}]\n", vec!["x"; width].join(","));
    for level in 1..depth {
        let aliases = vec![format!("*a{}", level - 1); width].join(",");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    text
}

/// Invariant 9: every decompression is bounded; an alias bomb is one.
#[test]
fn what_costs_too_much_is_refused_and_the_rest_is_read() {
    let long = "s".repeat(1 << 20);
    let cases = [
        ("aliases", bomb(9, 12)),
        ("depth of flow", format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000))),
        ("depth of blocks", (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect()),
        ("nodes", format!("[{}]", "a,".repeat(300_000))),
        ("text by aliases", format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 50].join(","))),
        ("keys", format!("? {}\n: [{}]\n", "k".repeat(100_000), "1,".repeat(1_000))),
    ];
    for (what, text) in cases {
        let parsed = read(&format!("ok: 1\n---\n{text}\n---\nok: 2\n"));
        assert_eq!((parsed.documents.len(), parsed.unreadable), (2, 1), "{what}");
        assert_eq!(parsed.diagnostics[0].code, Code::BudgetExceeded, "{what}: {}", parsed.diagnostics[0]);
    }
}

#[test]
fn depth_is_allowed_up_to_the_limit() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&nested(MAX_DEPTH)).unreadable, 0);
    assert_eq!(read(&nested(MAX_DEPTH + 1)).unreadable, 1);
}

#[test]
fn a_file_full_of_bombs_ends_soon() {
    let started = Instant::now();
    let parsed = read(&format!("---\n{}", bomb(9, 12)).repeat(2_000));
    assert!(parsed.documents.is_empty());
    assert!(parsed.diagnostics.iter().all(|diagnostic| diagnostic.code == Code::BudgetExceeded));

    // Each just small enough, but not all of them together.
    let parsed = read(&format!("---\n{}", bomb(9, 5)).repeat(2_000));
    assert!((10..30).contains(&parsed.documents.len()), "{}", parsed.documents.len());
    assert_eq!((parsed.unreadable, parsed.diagnostics[0].code), (1, Code::BudgetExceeded));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn keys_that_are_merged_over_and_over_are_bounded() {
    let wide: String = (0..1_000).map(|key| format!("k{key}: 1, ")).collect();
    let merges = "- {<<: *wide}\n".repeat(1_000);
    let parsed = read(&format!("wide: &wide {{{wide}}}\nlist:\n{merges}"));
    assert_eq!(parsed.diagnostics[0].code, Code::BudgetExceeded);
}

#[test]
fn a_file_is_bounded_in_bytes_and_documents() {
    let parsed = parse("big.yaml", &vec![b'a'; 20 << 20]);
    assert_eq!((parsed.documents.len(), parsed.unreadable), (0, 1));
    insta::assert_snapshot!(lines(&parsed.diagnostics));
    assert_eq!(parse("f.yaml", &vec![b' '; MAX_FILE_BYTES]).unreadable, 0);

    let parsed = read(&"---\na: 1\n".repeat(MAX_DOCUMENTS + 5));
    assert_eq!((parsed.documents.len(), parsed.unreadable), (MAX_DOCUMENTS, 1));
    insta::assert_snapshot!(lines(&parsed.diagnostics));
}

#[test]
fn other_encodings_are_refused_with_a_place() {
    let parsed = parse("f.yaml", b"a: 1\nb: \xff\n");
    insta::assert_snapshot!(lines(&parsed.diagnostics));
    assert_eq!((parsed.documents.len(), parsed.unreadable), (0, 1));
    assert_eq!(parse("f.yaml", b"\xff\xfea\0:\0").unreadable, 1);
}
