//! The sites that an object is for: `spec.sites` of our kinds, an annotation of standard ones.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;
use skerry_core::diagnostic::Code;
use skerry_core::selector::{Requirement, Selector};

use crate::api::SITES_ANNOTATION;
use crate::findings::{Findings, below};
use crate::shape;

use super::invalid;

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// Reads the annotation of a standard kind, in the form of `kubectl -l`; without one it is for all sites.
///
/// `Err`: it is there and cannot be read, so that the object must not be taken for one for all sites.
pub(super) fn of_annotation(findings: &mut Findings<'_>) -> Result<Option<Selector>, ()> {
    let pointer = below("/metadata/annotations", SITES_ANNOTATION);
    let help = "write it as for `kubectl -l`: tier=retail,region in (eu,us),!lab";
    let text = match findings.value(&pointer) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => {
            invalid(findings, &pointer, "the annotation must be text", help);
            return Err(());
        }
    };
    Selector::parse(text).map(Some).map_err(|reason| invalid(findings, &pointer, reason, help))
}

/// Notes the annotation on a kind of ours, where it has no effect.
pub(super) fn refuse_annotation(help: &str, findings: &mut Findings<'_>) {
    let pointer = below("/metadata/annotations", SITES_ANNOTATION);
    if findings.value(&pointer).is_some() {
        let message = "the annotation has no effect on this kind";
        findings.warning(Code::InvalidMetadata, &pointer, message, help);
    }
}

/// Reads `spec.sites`; left out, the object is for all sites.
pub(super) fn of_selector(selector: Option<&LabelSelector>, findings: &mut Findings<'_>) -> Option<Selector> {
    refuse_annotation("use `spec.sites`", findings);
    let selector = selector?;
    let labels = selector.match_labels.iter().flatten();
    let mut requirements: Vec<Requirement> =
        labels.map(|(key, value)| Requirement::In(key.clone(), BTreeSet::from([value.clone()]))).collect();
    for (at, expression) in selector.match_expressions.iter().flatten().enumerate() {
        requirements.extend(requirement(expression, &format!("/spec/sites/matchExpressions/{at}"), findings));
    }
    Some(Selector::new(requirements))
}

fn requirement(
    expression: &LabelSelectorRequirement,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Requirement> {
    let key = expression.key.clone();
    let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
    let operator = expression.operator.as_str();
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            invalid(
                findings,
                &below(pointer, "values"),
                format!("{operator} needs values"),
                "give at least one",
            );
            None
        }
        "In" => Some(Requirement::In(key, values)),
        "NotIn" => Some(Requirement::NotIn(key, values)),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            invalid(
                findings,
                &below(pointer, "values"),
                format!("{operator} takes no values"),
                "remove them",
            );
            None
        }
        "Exists" => Some(Requirement::Exists(key)),
        "DoesNotExist" => Some(Requirement::DoesNotExist(key)),
        other => {
            let help = shape::one_of(OPERATORS.into_iter());
            let message = format!("`{other}` is not an operator");
            findings.error(Code::UnknownValue, &below(pointer, "operator"), message, help);
            None
        }
    }
}
