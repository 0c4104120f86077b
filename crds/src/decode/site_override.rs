//! `SiteOverride` → patches for selected sites.

use std::sync::LazyLock;

use serde_json::Value;
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::policy::site_override::{Change, Operation, OperationKind, Patch};
use skerry_core::policy::{SiteOverride, Spec};

use crate::api;
use crate::api::site_override::{Op, PatchKind, SiteOverrideSpec};
use crate::findings::{Findings, below};
use crate::shape::Shape;

use super::metadata::Metadata;
use super::{Body, dns, invalid, sites, spec};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::site_override::SiteOverride>);

/// What makes an object that object: a patch that changed it would make another one.
const IDENTITY: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];

pub(super) fn convert(metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    let spec: SiteOverrideSpec = spec::read_on(&SHAPE, findings)?;
    let sites = sites::of_selector(spec.sites.as_ref(), findings);
    let mut patches = Vec::new();
    for (at, patch) in spec.patches.into_iter().enumerate() {
        let pointer = format!("/spec/patches/{at}");
        let target = target(&patch.target, &pointer, metadata, findings);
        let Some((field, change)) = change(patch, &pointer, findings) else { continue };
        patches.push(Patch { target, change, pointer: below(&pointer, field) });
    }
    let (precedence, locked) = (spec.precedence.unwrap_or_default(), spec.locked.unwrap_or_default());
    Some(Body { spec: Spec::SiteOverride(SiteOverride { precedence, locked, patches }), sites })
}

fn target(
    target: &api::site_override::PatchTarget,
    pointer: &str,
    metadata: &Metadata,
    findings: &mut Findings<'_>,
) -> ObjectKey {
    let pointer = below(pointer, "target");
    let kind = match target.kind {
        PatchKind::Mesh => Kind::Mesh,
        PatchKind::Service => Kind::Service,
        PatchKind::HttpRoute => Kind::HttpRoute,
        PatchKind::TrafficPolicy => Kind::TrafficPolicy,
        PatchKind::AuthorizationPolicy => Kind::AuthorizationPolicy,
    };
    let namespace = target.namespace.as_ref().unwrap_or(&metadata.key.namespace);
    if !dns::is_label(namespace) {
        let help = format!("use {}", dns::LABEL_RULE);
        invalid(findings, &below(&pointer, "namespace"), format!("`{namespace}` is not a namespace"), help);
    }
    if !dns::is_subdomain(&target.name) {
        let help = format!("use {}", dns::SUBDOMAIN_RULE);
        invalid(findings, &below(&pointer, "name"), format!("`{}` is not a name", target.name), help);
    }
    ObjectKey::new(kind, namespace, &target.name)
}

fn change(
    patch: api::site_override::Patch,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<(&'static str, Change)> {
    match (patch.merge, patch.json) {
        (Some(merge), None) => {
            let merge = Value::Object(merge.into_iter().collect());
            check_merge(&merge, &below(pointer, "merge"), findings);
            Some(("merge", Change::Merge(merge)))
        }
        (None, Some(json)) => {
            let pointer = below(pointer, "json");
            let operations = json.into_iter().enumerate();
            let operations = operations.map(|(at, one)| operation(one, &format!("{pointer}/{at}"), findings));
            Some(("json", Change::Json(operations.collect())))
        }
        (both, _) => {
            let what = if both.is_some() { "both `merge` and `json`" } else { "neither `merge` nor `json`" };
            invalid(findings, pointer, format!("the patch has {what}"), "give exactly one of the two");
            None
        }
    }
}

fn check_merge(merge: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let touched = IDENTITY.into_iter().filter(|field| merge.pointer(field).is_some());
    let whole = merge.get("metadata").filter(|metadata| !metadata.is_object()).map(|_| "/metadata");
    for field in touched.chain(whole) {
        refuse_identity(&format!("{pointer}{field}"), findings);
    }
}

fn refuse_identity(pointer: &str, findings: &mut Findings<'_>) {
    let help = "a patch cannot change apiVersion, kind, metadata.name and metadata.namespace: remove it";
    invalid(findings, pointer, "the patch would make another object", help);
}

fn operation(
    operation: api::site_override::Operation,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Operation {
    let op = match operation.op {
        Op::Add => OperationKind::Add,
        Op::Remove => OperationKind::Remove,
        Op::Replace => OperationKind::Replace,
        Op::Test => OperationKind::Test,
    };
    check_path(&operation.path, op, &below(pointer, "path"), findings);
    match (op, &operation.value) {
        (OperationKind::Remove, Some(_)) => {
            invalid(findings, &below(pointer, "value"), "`remove` takes no value", "remove it");
        }
        (OperationKind::Add | OperationKind::Replace | OperationKind::Test, None) => {
            let message = "the operation needs a value";
            invalid(findings, &below(pointer, "value"), message, "add `value`; it may be `null`");
        }
        _ => {}
    }
    Operation { op, path: operation.path, value: operation.value.unwrap_or_default() }
}

/// RFC 6901: starts with `/`; `~` only as `~0` or `~1`.
fn check_path(path: &str, op: OperationKind, pointer: &str, findings: &mut Findings<'_>) {
    let is_escaped = path.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if !path.starts_with('/') || !is_escaped {
        let help = "write a JSON pointer (RFC 6901) from the object's root, such as /spec/rules/0/timeouts";
        invalid(findings, pointer, format!("`{path}` is not a JSON pointer"), help);
        return;
    }
    let touches =
        |field: &str| path == field || field.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    if op != OperationKind::Test && IDENTITY.into_iter().any(touches) {
        refuse_identity(pointer, findings);
    }
}
