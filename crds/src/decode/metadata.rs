//! `metadata`: name, namespace, labels and age, by the rules of the Kubernetes API.
//!
//! Fields that others own (`managedFields`, `uid`, annotations of other tools) are not looked at.

use std::collections::BTreeMap;

use serde_json::Value;
use skerry_core::diagnostic::Code;
use skerry_core::id::{DEFAULT_NAMESPACE, Kind, ObjectKey};
use skerry_core::selector::{self, Labels};

use super::dns;
use crate::api;
use crate::findings::{Findings, below, placeholder};
use crate::shape;

/// What `metadata` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Kind, namespace and name.
    pub(crate) key: ObjectKey,
    /// The labels.
    pub(crate) labels: Labels,
    /// `creationTimestamp`: seconds since 1970.
    pub(crate) created: Option<i64>,
}

/// A name and a namespace, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The namespace; `default` when there is none.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

/// Reads the metadata of an object of the world, and names the object in further findings.
///
/// `None`: it has no usable name; the findings say why. Other errors leave the key known.
pub(crate) fn read(kind: Kind, findings: &mut Findings<'_>) -> Option<Metadata> {
    // The name of a site is a label of its trust domain, the name of a service a label of its host name.
    let is_label = matches!(kind, Kind::Site | Kind::Service);
    let Name { namespace, name } = read_name(is_label, findings)?;
    let key = ObjectKey::new(kind, namespace, name);
    findings.set_object(key.clone());
    let is_placed =
        findings.value("/metadata/namespace").and_then(Value::as_str).is_some_and(|at| !at.is_empty());
    if is_placed && matches!(kind, Kind::Mesh | Kind::Site) {
        let message = format!("a {kind} is in no namespace; this has no effect");
        findings.warning(Code::InvalidMetadata, "/metadata/namespace", message, "remove it");
    }
    let labels = read_labels(findings);
    check_annotations(findings);
    let created = read_created(findings);
    Some(Metadata { key, labels, created })
}

/// Reads name and namespace; `is_label` asks for a name without dots.
pub(crate) fn read_name(is_label: bool, findings: &mut Findings<'_>) -> Option<Name> {
    let name = match text("/metadata/name", findings) {
        Ok(Some(name)) => name,
        Ok(None) => return missing_name(findings),
        Err(()) => return None,
    };
    let (is_name, rule) = if is_label {
        (dns::is_label(&name), dns::LABEL_RULE)
    } else {
        (dns::is_subdomain(&name), dns::SUBDOMAIN_RULE)
    };
    if !is_name {
        let message = format!("`{name}` is not a name");
        findings.error(Code::InvalidMetadata, "/metadata/name", message, format!("use {rule}"));
    }
    let namespace =
        text("/metadata/namespace", findings).ok()?.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    if !dns::is_label(&namespace) {
        let message = format!("`{namespace}` is not a namespace");
        let help = format!("use {}", dns::LABEL_RULE);
        findings.error(Code::InvalidMetadata, "/metadata/namespace", message, help);
        return None;
    }
    is_name.then_some(Name { namespace, name })
}

fn missing_name(findings: &mut Findings<'_>) -> Option<Name> {
    let help = match findings.value("/metadata/generateName") {
        Some(_) => "`generateName` does not work from Git: give `metadata.name`",
        None => "give `metadata.name`",
    };
    findings.error(Code::InvalidMetadata, "/metadata/name", "the object has no name", help);
    None
}

/// Reads a text field; an empty one counts as not there.
fn text(pointer: &str, findings: &mut Findings<'_>) -> Result<Option<String>, ()> {
    match findings.value(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(other) => {
            let help = format!("put it in quotes: \"{other}\"");
            findings.error(Code::InvalidMetadata, pointer, "the field must be text", help);
            Err(())
        }
    }
}

/// The longest label value (Kubernetes: "Labels and Selectors").
pub(crate) const MAX_LABEL_VALUE: usize = 63;

/// The longest label key: a prefix of 253 characters, `/`, and a name of 63.
pub(crate) const MAX_LABEL_KEY: usize = 317;

/// Reads `metadata.labels`; refuses values that are not text, as the Kubernetes API does.
pub(crate) fn read_labels(findings: &mut Findings<'_>) -> Labels {
    let mut labels = BTreeMap::new();
    let map = match findings.value("/metadata/labels") {
        None | Some(Value::Null) => return labels,
        Some(Value::Object(map)) => map,
        Some(_) => {
            let (message, help) = ("labels must be a mapping", "write `name: value` lines");
            findings.error(Code::InvalidMetadata, "/metadata/labels", message, help);
            return labels;
        }
    };
    for (key, value) in map {
        if !selector::is_label_key(key) {
            let help =
                "a key is letters, digits, `-`, `_` and `.`, with a prefix and `/` before them or without";
            let message = format!("`{key}` is not the key of a label");
            findings.error(Code::InvalidMetadata, &below("/metadata/labels", key), message, help);
            continue;
        }
        match value {
            Value::String(value) if key.len() > MAX_LABEL_KEY || value.len() > MAX_LABEL_VALUE => {
                let pointer = below("/metadata/labels", key);
                let help = format!("a key has at most {MAX_LABEL_KEY} characters, a value {MAX_LABEL_VALUE}");
                findings.error(Code::InvalidMetadata, &pointer, "the label is too long", help);
            }
            Value::String(value) if placeholder(value).is_none() => {
                labels.insert(key.clone(), value.clone());
            }
            other => {
                let help = format!("put it in quotes: {key}: \"{other}\"");
                let pointer = below("/metadata/labels", key);
                findings.error(Code::InvalidMetadata, &pointer, "the value of a label must be text", help);
            }
        }
    }
    labels
}

/// Names annotations of ours that there are not: one letter that is missing would send an object to the whole fleet.
fn check_annotations(findings: &mut Findings<'_>) {
    let pointer = "/metadata/annotations";
    let Some(Value::Object(map)) = findings.value(pointer) else { return };
    let is_ours = |key: &&String| key.split_once('/').is_some_and(|(prefix, _)| prefix == api::GROUP);
    let unknown = map.keys().filter(is_ours).filter(|key| *key != api::SITES_ANNOTATION);
    for key in unknown {
        let help = shape::did_you_mean(key, [api::SITES_ANNOTATION].into_iter());
        let message = format!("there is no annotation `{key}`; it has no effect");
        findings.warning(Code::UnknownField, &below(pointer, key), message, help);
    }
}

fn read_created(findings: &mut Findings<'_>) -> Option<i64> {
    let pointer = "/metadata/creationTimestamp";
    let text = text(pointer, findings).ok()??;
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.as_second()),
        Err(_) => {
            let help = "write it as 2026-01-31T12:00:00Z (RFC 3339), or leave it out";
            findings.error(Code::InvalidMetadata, pointer, format!("`{text}` is not a time"), help);
            None
        }
    }
}

/// Notes a document that SOPS has encrypted: its values are not here.
pub(crate) fn is_encrypted(findings: &mut Findings<'_>) -> bool {
    let is_encrypted = findings.value("/sops").is_some_and(Value::is_object);
    if is_encrypted {
        let message = "the document is encrypted with SOPS; it has no effect";
        findings.warning(
            Code::Unsupported,
            "/sops",
            message,
            "policies hold no secrets: commit it in plain text",
        );
    }
    is_encrypted
}
