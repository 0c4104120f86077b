//! Overrides that add items to lists and take them out: where each field is said to come from, whom a mistake is
//! blamed on, and which overrides cannot stand beside each other.

use proptest::prelude::*;
use serde_json::Value;
use skerry_core::diagnostic::Code;
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::index::{Explanation, FieldOrigin};

use crate::builder::{compile, index, route_names, service, service_yaml, site, site_yaml, text};

/// The second rule names a backend that is not there.
const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: r
  namespace: shop
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - matches: [{path: {value: /one}}]
    backendRefs: [{name: cart, port: 80}]
  - matches: [{path: {value: /two}}]
    backendRefs: [{name: gone, port: 80}]
  - matches: [{path: {value: /three}}]
    backendRefs: [{name: cart, port: 80}]
---
";

fn over(name: &str, precedence: i32, operations: &[impl AsRef<str>]) -> String {
    let operations: String =
        operations.iter().map(|operation| format!("    - {}\n", operation.as_ref())).collect();
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         precedence: {precedence}\n  patches:\n  - target: {{kind: HTTPRoute, name: r}}\n    json:\n{operations}---\n"
    )
}

fn world(overrides: &str) -> String {
    ROUTE.to_owned() + overrides + &service_yaml("cart") + &site_yaml("s1", "")
}

fn said(overrides: &str) -> String {
    text(&compile(&world(overrides)).diagnostics)
}

fn explain(world: &str) -> Explanation {
    let mut index = index(world);
    index.compile();
    index.explain(&site("s1"), &ObjectKey::new(Kind::HttpRoute, "shop", "r")).unwrap()
}

/// The text at the place that a field is said to come from.
fn text_at<'w>(world: &'w str, field: &FieldOrigin) -> &'w str {
    let line = world.lines().nth(field.location.line as usize - 1).unwrap();
    &line[field.location.column as usize - 1..]
}

fn assert_places(world: &str, explanation: &Explanation) {
    for field in &explanation.fields {
        let value = match &field.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert!(text_at(world, field).starts_with(&value), "{field:?} in {world}");
        let by_override = field.location.line as usize > ROUTE.lines().count();
        assert_eq!(field.by.kind == Kind::SiteOverride, by_override, "{field:?}");
    }
}

/// Path, whose text has it, and the line, of each match of the route.
fn paths(overrides: &str) -> Vec<String> {
    let world = world(overrides);
    let explanation = explain(&world);
    assert_places(&world, &explanation);
    let matches = explanation.fields.iter().filter(|field| field.field.ends_with("path.value"));
    matches.map(|field| format!("{} {} {}", field.value, field.by, field.location.line)).collect()
}

const NEW: &str = "{matches: [{path: {value: /new}}], backendRefs: [{name: lost, port: 80}]}";

#[test]
fn a_rule_that_an_override_appends_is_the_override_s() {
    let append = over("a", 0, &[format!("{{op: add, path: /spec/rules/-, value: {NEW}}}")]);
    assert_eq!(
        paths(&append),
        [
            "\"/one\" HTTPRoute shop/r 9",
            "\"/two\" HTTPRoute shop/r 11",
            "\"/three\" HTTPRoute shop/r 13",
            "\"/new\" SiteOverride shop/a 24"
        ]
    );
    insta::assert_snapshot!(said(&append));
}

#[test]
fn a_rule_that_an_override_puts_in_front_leaves_the_others_where_they_were() {
    let first = over("a", 0, &[format!("{{op: add, path: /spec/rules/0, value: {NEW}}}")]);
    assert_eq!(
        paths(&first),
        [
            "\"/new\" SiteOverride shop/a 24",
            "\"/one\" HTTPRoute shop/r 9",
            "\"/two\" HTTPRoute shop/r 11",
            "\"/three\" HTTPRoute shop/r 13"
        ]
    );
    insta::assert_snapshot!(said(&first));
}

#[test]
fn a_rule_behind_one_that_an_override_removes_is_its_own_and_so_are_its_mistakes() {
    let remove = over("a", 0, &["{op: remove, path: /spec/rules/0}"]);
    assert_eq!(paths(&remove), ["\"/two\" HTTPRoute shop/r 11", "\"/three\" HTTPRoute shop/r 13"]);
    assert_eq!(said(&remove), said(""), "the mistake of the second rule is in the base");
    assert!(
        said("").contains("policy.yaml:12:26: error[DanglingReference]: HTTPRoute shop/r: spec.rules[1]")
    );
}

#[test]
fn what_an_override_set_in_an_item_stays_its_own_when_a_later_one_moves_the_item() {
    let set = over("a", 0, &["{op: replace, path: /spec/rules/1/backendRefs/0/name, value: lost}"]);
    let moved = set.clone() + &over("b", 1, &["{op: remove, path: /spec/rules/0}"]);
    assert_places(&world(&moved), &explain(&world(&moved)));
    let blamed = |said: String| said.split(": HTTPRoute").next().unwrap().to_owned();
    assert_eq!(blamed(said(&moved)), blamed(said(&set)));
    assert!(
        blamed(said(&set)).ends_with("SiteOverride shop/a: spec.patches[0].json[0].value"),
        "{}",
        said(&set)
    );
}

#[test]
fn a_mistake_that_an_override_moves_is_not_new_and_its_like_in_front_of_it_is() {
    let without =
        |overrides: &str| world(overrides).replace("\n    backendRefs: [{name: cart, port: 80}]", "");
    let said = |overrides: &str| text(&compile(&without(overrides)).diagnostics);
    let sound = NEW.replace("lost", "cart");
    let moved = over("a", 0, &[format!("{{op: add, path: /spec/rules/0, value: {sound}}}")]);
    assert_eq!(said(&moved), said(""), "the rules of the base have no backends, as before");
    let another =
        over("a", 0, &["{op: add, path: /spec/rules/0, value: {matches: [{path: {value: /new}}]}}"]);
    let new: Vec<String> =
        said(&another).lines().filter(|line| !said("").contains(line)).map(str::to_owned).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(
        new[0]
            .contains("warning[InvalidValue]: SiteOverride shop/a: spec.patches[0].json[0].value: HTTPRoute")
    );
    assert!(new[0].contains("spec.rules[0].backendRefs (patched): the rule has no backends"), "{new:?}");
}

#[test]
fn an_operation_that_does_not_fit_is_pointed_at() {
    let wrong = over(
        "a",
        0,
        &[
            "{op: remove, path: /spec/rules/2}",
            "{op: remove, path: /spec/rules/2}",
            "{op: remove, path: /spec/rules/0}",
        ],
    );
    let said = said(&wrong);
    assert!(
        said.contains("SiteOverride shop/a: spec.patches[0].json[1].path: cannot patch HTTPRoute shop/r"),
        "{said}"
    );
    assert!(
        said.contains("json[1] (remove /spec/rules/2): `spec.rules` has 2 items, numbers 0 to 1, and no `2`"),
        "{said}"
    );
    assert_eq!(paths(&wrong).len(), 3, "none of it is applied");
}

#[test]
fn overrides_of_one_rank_that_move_each_other_s_items_are_both_left_out() {
    let cases = [
        ("{op: remove, path: /spec/rules/0}", "{op: remove, path: /spec/rules/1}", true),
        ("{op: remove, path: /spec/rules/2}", "{op: replace, path: /spec/rules/0/name, value: x}", true),
        ("{op: add, path: /spec/rules/1, value: {}}", "{op: add, path: /spec/rules/-, value: {}}", true),
        (
            "{op: add, path: /spec/rules/0, value: {}}",
            "{op: add, path: /spec/rules/1/timeouts, value: {request: 3s}}",
            true,
        ),
        ("{op: remove, path: /spec/rules/0}", "{op: add, path: /spec/parentRefs/-, value: {}}", false),
        (
            "{op: add, path: /spec/rules/0/name, value: x}",
            "{op: add, path: /spec/rules/1/name, value: y}",
            false,
        ),
        ("{op: add, path: /metadata/labels, value: {}}", "{op: remove, path: /spec/rules/0}", false),
        ("{op: test, path: /spec/rules/0/name, value: x}", "{op: remove, path: /spec/rules/0}", false),
    ];
    for (one, two, expected) in cases {
        let both = over("a", 0, &[one]) + &over("b", 0, &[two]);
        let compiled = compile(&world(&both));
        let conflicts =
            compiled.diagnostics.iter().filter(|found| found.code == Code::OverrideConflict).count();
        assert_eq!(conflicts, if expected { 2 } else { 0 }, "{one} {two}: {}", text(&compiled.diagnostics));
        if expected {
            let names = route_names(&service(&compiled, "s1", "shop/cart"), 80, "");
            assert_eq!(names.len(), 3, "{one} {two}: {names:?}");
        }
        let ranked = over("a", 0, &[one]) + &over("b", 1, &[two]);
        assert!(!said(&ranked).contains("OverrideConflict"), "{one} {two}");
    }
    let both = over("a", 0, &["{op: remove, path: /spec/rules/0}"])
        + &over("b", 0, &["{op: remove, path: /spec/rules/1}"]);
    insta::assert_snapshot!(said(&both));
}

#[test]
fn numbers_that_are_names_move_nothing() {
    let route = ROUTE.replace("  namespace: shop\n", "  namespace: shop\n  labels: {'1': one}\n");
    let label =
        |name: &str, at: u8| over(name, 0, &[format!("{{op: add, path: /metadata/labels/{at}, value: x}}")]);
    let world = route + &label("a", 1) + &label("b", 2) + &service_yaml("cart") + &site_yaml("s1", "");
    let said = text(&compile(&world).diagnostics);
    assert!(!said.contains("OverrideConflict"), "{said}");
    let labels = |field: &&FieldOrigin| field.field.starts_with("metadata.labels");
    assert!(explain(&world).fields.iter().filter(labels).all(|field| field.by.kind == Kind::SiteOverride));
}

/// A patch of the rules, as a text; `lengths` are the backends of each rule, at least one, `number` makes what it adds unlike
/// all else.
fn operation(choice: u8, place: usize, lengths: &mut Vec<usize>, number: usize) -> String {
    let backend = format!("{{name: cart, port: 80, weight: {number}}}");
    let rule = format!("{{matches: [{{path: {{value: /new-{number}}}}}], backendRefs: [{backend}]}}");
    let at = place % lengths.len();
    match choice {
        0 => {
            let at = place % (lengths.len() + 1);
            lengths.insert(at, 1);
            format!("{{op: add, path: /spec/rules/{at}, value: {rule}}}")
        }
        1 if lengths.len() > 1 => {
            lengths.remove(at);
            format!("{{op: remove, path: /spec/rules/{at}}}")
        }
        2 => {
            lengths[at] = 1;
            format!("{{op: replace, path: /spec/rules/{at}, value: {rule}}}")
        }
        3 => {
            lengths[at] += 1;
            format!("{{op: add, path: /spec/rules/{at}/backendRefs/0, value: {backend}}}")
        }
        4 if lengths[at] > 1 => {
            lengths[at] -= 1;
            format!("{{op: remove, path: /spec/rules/{at}/backendRefs/{}}}", lengths[at])
        }
        5 => {
            format!("{{op: add, path: /spec/rules/{at}/name, value: name-{number}}}")
        }
        _ => {
            lengths.push(1);
            format!("{{op: add, path: /spec/rules/-, value: {rule}}}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_place_that_a_field_is_said_to_come_from_has_its_value(
        choices in prop::collection::vec((0_u8..7, 0_usize..8), 1..9),
        cut in 0_usize..9,
    ) {
        let mut lengths = vec![1; 3];
        let operations: Vec<String> = choices
            .iter()
            .enumerate()
            .map(|(number, (choice, place))| operation(*choice, *place, &mut lengths, 101 + number))
            .collect();
        let (first, second) = operations.split_at(cut.min(operations.len()));
        let parts = [("a", 0, first), ("b", 1, second)].into_iter().filter(|(.., part)| !part.is_empty());
        let overrides: String = parts.map(|(name, rank, part)| over(name, rank, part)).collect();
        let world = world(&overrides).replace("name: gone", "name: cart");
        prop_assert_eq!(text(&compile(&world).diagnostics), "");
        let explanation = explain(&world);
        prop_assert_eq!(explanation.overrides.len(), overrides.matches("kind: SiteOverride").count());
        assert_places(&world, &explanation);
    }
}
