//! Site overrides: the order in which they fold, the conflicts between them, and the fold itself.
//!
//! Order (design, section 5): base, then overrides by ascending precedence, then locked ones by
//! ascending precedence. Two of one rank that touch one field are both left out.

use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic, Severity, has_errors};
use crate::document::field_path;
use crate::form::Form;
use crate::id::ObjectKey;
use crate::policy::site_override::{Change, Operation, OperationKind, Patch};
use crate::policy::{Decode, Decoded, Object, OfSpec as _, SiteOverride};
use crate::world::Aged;

/// An override with the patches that it has for one target.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The override.
    pub object: &'a Arc<Object>,
    /// Its typed form.
    pub spec: &'a SiteOverride,
    /// What it patches.
    pub target: &'a ObjectKey,
}

impl<'a> Layer<'a> {
    /// Takes an object as a layer on a target; `None` when it is no override.
    pub fn new(object: &'a Arc<Object>, target: &'a ObjectKey) -> Option<Self> {
        Some(Self { object, spec: SiteOverride::of(&object.spec)?, target })
    }

    fn patches(&self) -> impl Iterator<Item = &'a Patch> + '_ {
        self.spec.patches.iter().filter(|patch| patch.target == *self.target)
    }

    fn rank(&self) -> (bool, i32) {
        (self.spec.locked, self.spec.precedence)
    }

    /// Lists the fields that it sets, as `(pointer in the target, pointer in the override)`.
    pub fn touched(&self) -> Vec<(String, String)> {
        self.patches().flat_map(touched_by).collect()
    }
}

/// An object after its overrides.
#[derive(Debug, Clone)]
pub struct Folded {
    /// The object; the base itself when nothing could be applied.
    pub form: Form,
    /// What was left out, and why; and what the overrides made of the object that its author may not expect.
    pub diagnostics: Vec<Diagnostic>,
}

/// Folds overrides into an object. `layers` may come in any order.
pub fn fold(base: &Aged, mut layers: Vec<Layer<'_>>, decode: Decode) -> Folded {
    layers.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.object.key.cmp(&b.object.key)));
    let mut diagnostics = Vec::new();
    let conflicting = conflicts(&layers, &mut diagnostics);
    let mut form = Form::plain(base.clone());
    for (at, layer) in layers.iter().enumerate() {
        if conflicting.contains(&at) {
            continue;
        }
        match apply(form.object(), layer, decode) {
            Ok((object, remarks)) => {
                form.aged.object = Arc::new(object);
                form.applied.push(Arc::clone(layer.object));
                diagnostics.extend(remarks);
            }
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    Folded { form, diagnostics }
}

fn conflicts(layers: &[Layer<'_>], diagnostics: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut losers = Vec::new();
    for (i, a) in layers.iter().enumerate() {
        for (j, b) in layers.iter().enumerate().skip(i + 1) {
            if a.rank() != b.rank() {
                continue;
            }
            if let Some((field_a, field_b)) = common_field(a, b) {
                diagnostics.push(conflict(a, &field_a, b, &field_b));
                diagnostics.push(conflict(b, &field_b, a, &field_a));
                losers.extend([i, j]);
            }
        }
    }
    losers
}

type Touch = (String, String);

fn common_field(a: &Layer<'_>, b: &Layer<'_>) -> Option<(Touch, Touch)> {
    let others = b.touched();
    a.touched().into_iter().find_map(|mine| {
        let other = others.iter().find(|other| overlaps(&mine.0, &other.0))?;
        Some((mine, other.clone()))
    })
}

/// Says whether one pointer is the other or leads to it.
pub fn overlaps(a: &str, b: &str) -> bool {
    is_within(a, b) || is_within(b, a)
}

/// Says whether `inner` is `outer` or a field below it.
pub fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn conflict(loser: &Layer<'_>, mine: &Touch, other: &Layer<'_>, theirs: &Touch) -> Diagnostic {
    let place = other.object.document.locate(&theirs.1);
    let message = format!(
        "sets `{}` of {} with the same precedence ({}) as {} at {place}; neither is applied",
        field_path(&mine.0),
        loser.target,
        loser.spec.precedence,
        other.object.key,
    );
    Diagnostic::error(Code::OverrideConflict, loser.object.document.locate(&mine.1), message)
        .object(loser.object.key.clone())
        .field(field_path(&mine.1))
        .help("give one of the two a higher `spec.precedence`, or selectors that share no site")
}

/// Patches an object; returns it with what is to be said of the result and was not of the base.
fn apply(
    base: &Object,
    layer: &Layer<'_>,
    decode: Decode,
) -> Result<(Object, Vec<Diagnostic>), Box<Diagnostic>> {
    let mut document = base.document.unpack();
    for patch in layer.patches() {
        apply_patch(&mut document.value, patch).map_err(|reason| invalid(layer, &patch.pointer, &reason))?;
    }
    match decode(&document) {
        Decoded::Object(object, found) if object.key == base.key => {
            let new = new_findings(found, base, decode);
            if has_errors(&new) {
                let errors: Vec<_> =
                    new.into_iter().filter(|found| found.severity == Severity::Error).collect();
                return Err(refused(layer, &errors));
            }
            Ok((*object, new.into_iter().map(|found| remark(layer, found)).collect()))
        }
        Decoded::Object(..) | Decoded::Foreign { .. } => {
            Err(invalid(layer, "/spec/patches", "it changes what the object is (kind, name or namespace)"))
        }
        Decoded::Refused { diagnostics, .. } => Err(refused(layer, &diagnostics)),
    }
}

/// What is found in the patched object and was not in the base.
fn new_findings(found: Vec<Diagnostic>, base: &Object, decode: Decode) -> Vec<Diagnostic> {
    if found.is_empty() {
        return found;
    }
    let known = match decode(&base.document.unpack()) {
        Decoded::Object(_, diagnostics) => diagnostics,
        Decoded::Foreign { .. } | Decoded::Refused { .. } => Vec::new(),
    };
    let is_new =
        |new: &Diagnostic| known.iter().all(|old| (&old.field, &old.message) != (&new.field, &new.message));
    found.into_iter().filter(is_new).collect()
}

/// Points what was found in the patched object at the field of the override that brought it.
fn remark(layer: &Layer<'_>, found: Diagnostic) -> Diagnostic {
    let pointer = layer.blame(&found).unwrap_or_else(|| "/spec/patches".to_owned());
    let message = format!("{} {} (patched): {}", layer.target, found.field, found.message);
    Diagnostic {
        location: layer.object.document.locate(&pointer),
        object: Some(layer.object.key.clone()),
        field: field_path(&pointer),
        message,
        ..found
    }
}

impl Layer<'_> {
    /// Finds the field of the override that brought what was found in the patched object.
    fn blame(&self, found: &Diagnostic) -> Option<String> {
        let concerns = |target: &str| {
            let target = field_path(target);
            target.starts_with(&found.field) || found.field.starts_with(&target)
        };
        self.touched().into_iter().find(|(target, _)| concerns(target)).map(|(_, own)| own)
    }
}

/// Blames the field of the override that made the object invalid, as far as it can be told.
fn refused(layer: &Layer<'_>, diagnostics: &[Diagnostic]) -> Box<Diagnostic> {
    let worst = diagnostics.iter().max_by_key(|found| (layer.blame(found).is_some(), found.field.len()));
    let Some(found) = worst else {
        return invalid(layer, "/spec/patches", "the result is not a valid object");
    };
    let reason = format!("the result is not valid: {}: {}", found.field, found.message);
    let pointer = layer.blame(found).unwrap_or_else(|| "/spec/patches".to_owned());
    let mut diagnostic = invalid(layer, &pointer, &reason);
    if !found.help.is_empty() {
        diagnostic.help.clone_from(&found.help);
    }
    diagnostic
}

fn invalid(layer: &Layer<'_>, pointer: &str, reason: &str) -> Box<Diagnostic> {
    let message = format!("cannot patch {}: {reason}; the override is not applied to it", layer.target);
    Box::new(
        Diagnostic::error(Code::InvalidOverride, layer.object.document.locate(pointer), message)
            .object(layer.object.key.clone())
            .field(field_path(pointer))
            .help("compare the patch with the target; `skerry explain` shows its fields"),
    )
}

fn apply_patch(value: &mut Value, patch: &Patch) -> Result<(), String> {
    match &patch.change {
        Change::Merge(merge) => {
            json_patch::merge(value, merge);
            Ok(())
        }
        Change::Json(operations) => {
            let operations: Vec<Value> = operations
                .iter()
                .map(|operation| {
                    let op = operation_name(operation.op);
                    serde_json::json!({ "op": op, "path": operation.path, "value": operation.value })
                })
                .collect();
            let operations: json_patch::Patch =
                serde_json::from_value(operations.into()).map_err(|error| error.to_string())?;
            json_patch::patch(value, &operations).map_err(|error| error.to_string())
        }
    }
}

fn operation_name(op: OperationKind) -> &'static str {
    match op {
        OperationKind::Add => "add",
        OperationKind::Remove => "remove",
        OperationKind::Replace => "replace",
        OperationKind::Test => "test",
    }
}

fn touched_by(patch: &Patch) -> Vec<Touch> {
    match &patch.change {
        Change::Merge(merge) => {
            let mut leaves = Vec::new();
            collect_leaves(merge, String::new(), &mut leaves);
            leaves.into_iter().map(|leaf| (leaf.clone(), format!("{}{leaf}", patch.pointer))).collect()
        }
        Change::Json(operations) => {
            let operations = operations.iter().enumerate();
            let touch = |(at, operation): (usize, &Operation)| {
                let field = match operation.op {
                    OperationKind::Test => return None,
                    OperationKind::Remove => "path",
                    OperationKind::Add | OperationKind::Replace => "value",
                };
                Some((operation.path.clone(), format!("{}/{at}/{field}", patch.pointer)))
            };
            operations.filter_map(touch).collect()
        }
    }
}

fn collect_leaves(value: &Value, pointer: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let token = name.replace('~', "~0").replace('/', "~1");
                collect_leaves(field, format!("{pointer}/{token}"), leaves);
            }
        }
        _ => leaves.push(pointer),
    }
}
