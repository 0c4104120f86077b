//! How many items the lists of a route may have: the `maxItems` of the Gateway API's own CRD (v1, standard channel),
//! which its Rust types do not carry. What an API server would refuse is refused here too.
//!
//! Must not look into the items.

use serde_json::Value;

use crate::decode::invalid;
use crate::findings::Findings;

/// Lists by their place, `*` for each item, and the most items of each.
const BOUNDS: [(&str, usize); 21] = [
    ("/spec/parentRefs", 32),
    ("/spec/hostnames", 16),
    ("/spec/rules", 16),
    ("/spec/rules/*/matches", 64),
    ("/spec/rules/*/matches/*/headers", 16),
    ("/spec/rules/*/matches/*/queryParams", 16),
    ("/spec/rules/*/filters", 16),
    ("/spec/rules/*/filters/*/requestHeaderModifier/set", 16),
    ("/spec/rules/*/filters/*/requestHeaderModifier/add", 16),
    ("/spec/rules/*/filters/*/requestHeaderModifier/remove", 16),
    ("/spec/rules/*/filters/*/responseHeaderModifier/set", 16),
    ("/spec/rules/*/filters/*/responseHeaderModifier/add", 16),
    ("/spec/rules/*/filters/*/responseHeaderModifier/remove", 16),
    ("/spec/rules/*/backendRefs", 16),
    ("/spec/rules/*/backendRefs/*/filters", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/requestHeaderModifier/set", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/requestHeaderModifier/add", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/requestHeaderModifier/remove", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/responseHeaderModifier/set", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/responseHeaderModifier/add", 16),
    ("/spec/rules/*/backendRefs/*/filters/*/responseHeaderModifier/remove", 16),
];

/// The most matches of all rules together (a validation rule of the same CRD).
const ALL_MATCHES: usize = 128;

/// Notes every list that is too long. Says whether there is none.
pub(super) fn check(findings: &mut Findings<'_>) -> bool {
    let before = findings.errors();
    let mut long = Vec::new();
    let spec = findings.value("");
    for (place, most) in BOUNDS {
        let path: Vec<&str> = place.split('/').skip(1).collect();
        lists(spec, &path, String::new(), &mut |pointer, size| {
            if size > most {
                long.push((pointer, size, most));
            }
        });
    }
    for (pointer, size, most) in long {
        let message = format!("the list has {size} items; the Gateway API (v1, `maxItems`) takes {most}");
        invalid(findings, &pointer, message, "split the route: several may have the same parent");
    }
    let mut matches = 0;
    lists(spec, &["spec", "rules", "*", "matches"], String::new(), &mut |_, size| matches += size);
    if matches > ALL_MATCHES {
        let message =
            format!("the rules have {matches} matches; the Gateway API (v1) takes {ALL_MATCHES} in a route");
        invalid(findings, "/spec/rules", message, "split the route: several may have the same parent");
    }
    findings.errors() == before
}

/// Calls `found` with pointer and length of every list at a place.
fn lists(value: Option<&Value>, path: &[&str], pointer: String, found: &mut impl FnMut(String, usize)) {
    match (value, path.split_first()) {
        (Some(Value::Array(list)), None) => found(pointer, list.len()),
        (Some(Value::Array(list)), Some((&"*", rest))) => {
            for (at, item) in list.iter().enumerate() {
                lists(Some(item), rest, format!("{pointer}/{at}"), found);
            }
        }
        (Some(Value::Object(fields)), Some((name, rest))) => {
            lists(fields.get(*name), rest, format!("{pointer}/{name}"), found);
        }
        _ => {}
    }
}
