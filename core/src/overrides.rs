//! Site overrides: the order in which they fold, and the fold itself.
//!
//! Order (design, section 5): base, then overrides by ascending precedence, then locked ones by
//! ascending precedence. Two of one rank that touch one field are both left out; an item that is added to a
//! list or removed from it touches the list.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Severity, has_errors};
use crate::document::field_path;
use crate::form::Form;
use crate::id::ObjectKey;
use crate::policy::site_override::Patch;
use crate::policy::{Decode, Decoded, Object, OfSpec as _, SiteOverride};
use crate::trace::{Source, Trace};
use crate::world::Aged;

mod conflict;
mod misfit;
mod patch;

use patch::Patched;

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
    let conflicting = conflict::find(&layers, &base.object, &mut diagnostics);
    let mut form = Form::plain(base.clone());
    for (at, layer) in layers.iter().enumerate() {
        if conflicting.contains(&at) {
            continue;
        }
        match apply(&form, layer, decode) {
            Ok(applied) => {
                form.aged.object = Arc::new(applied.object);
                form.applied.push(Arc::clone(layer.object));
                form.trace = applied.trace;
                diagnostics.extend(applied.remarks);
            }
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    Folded { form, diagnostics }
}

struct Applied {
    object: Object,
    trace: Trace,
    /// What is to be said of the object and was not of it before.
    remarks: Vec<Diagnostic>,
}

/// Patches an object.
fn apply(form: &Form, layer: &Layer<'_>, decode: Decode) -> Result<Applied, Box<Diagnostic>> {
    let base = form.object();
    let document = base.document.unpack();
    let mut patched = Patched { document, trace: form.trace.clone(), applied: &form.applied };
    for patch in layer.patches() {
        patched.apply(patch).map_err(|misfit| invalid(layer, &misfit.pointer, &misfit.reason))?;
    }
    match decode(&patched.document) {
        Decoded::Object(object, found) if object.key == base.key => {
            if let Some(misplaced) = misplaced(layer, &patched, base, &object) {
                return Err(misplaced);
            }
            let new = new_findings(found, base, decode);
            if has_errors(&new) {
                let errors: Vec<_> =
                    new.into_iter().filter(|found| found.severity == Severity::Error).collect();
                return Err(refused(layer, &patched, &errors));
            }
            let remarks = new.into_iter().map(|found| remark(layer, &patched, found)).collect();
            Ok(Applied { object: *object, trace: patched.trace, remarks })
        }
        Decoded::Object(..) | Decoded::Foreign { .. } => {
            Err(invalid(layer, "/spec/patches", "it changes what the object is (kind, name or namespace)"))
        }
        Decoded::Refused { diagnostics, .. } => Err(refused(layer, &patched, &diagnostics)),
    }
}

/// For which sites an object is, and how old, is known before overrides are looked at: they cannot change it.
fn misplaced(
    layer: &Layer<'_>,
    patched: &Patched<'_>,
    base: &Object,
    object: &Object,
) -> Option<Box<Diagnostic>> {
    let (field, what) = match () {
        () if object.sites != base.sites => (base.sites_pointer(), "for which sites the object is"),
        () if object.created != base.created => ("/metadata/creationTimestamp", "how old the object is"),
        () => return None,
    };
    let pointer = blame(patched, &field_path(field)).unwrap_or("/spec/patches");
    let mut diagnostic = invalid(layer, pointer, &format!("it changes {what}, which an override cannot"));
    diagnostic.help = format!("set `{}` in the object itself", field_path(field));
    Some(diagnostic)
}

/// What is found in the patched object and was not in the base. A field of the base that was moved is where it was in the
/// text, and what was set anew has no place there.
fn new_findings(found: Vec<Diagnostic>, base: &Object, decode: Decode) -> Vec<Diagnostic> {
    if found.is_empty() {
        return found;
    }
    let known = match decode(&base.document.unpack()) {
        Decoded::Object(_, diagnostics) => diagnostics,
        Decoded::Foreign { .. } | Decoded::Refused { .. } => Vec::new(),
    };
    let is_new = |new: &Diagnostic| {
        known.iter().all(|old| (&old.location, &old.message) != (&new.location, &new.message))
    };
    found.into_iter().filter(is_new).collect()
}

/// Points what was found in the patched object at the field of the override that brought it.
fn remark(layer: &Layer<'_>, patched: &Patched<'_>, found: Diagnostic) -> Diagnostic {
    let pointer = blame(patched, &found.field).unwrap_or("/spec/patches");
    let message = format!("{} {} (patched): {}", layer.target, found.field, found.message);
    Diagnostic {
        location: layer.object.document.locate(pointer),
        object: Some(layer.object.key.clone()),
        field: field_path(pointer),
        message,
        ..found
    }
}

/// Finds the field of the override that brought what was found at a field of the patched object: that set it or a part of it,
/// or else moved the items of a list that it is in.
fn blame<'p>(patched: &'p Patched<'_>, found: &str) -> Option<&'p str> {
    let paths = |(pointer, source): (&str, &'p Source)| (field_path(pointer), source.pointer.as_str());
    let set: Vec<_> = patched.trace.set_by(patched.layer()).map(paths).collect();
    let leads = || set.iter().filter(|(field, _)| is_part(found, field)).max_by_key(|(field, _)| field.len());
    let part = || set.iter().find(|(field, _)| is_part(field, found));
    let own = leads().or_else(part).map(|(_, own)| *own);
    let mut moved = patched.trace.moved_by(patched.layer()).map(paths);
    own.or_else(|| moved.find(|(list, _)| is_part(found, list) || is_part(list, found)).map(|(_, own)| own))
}

/// Says whether a field path is another, or below it; all are below the empty one.
fn is_part(field: &str, whole: &str) -> bool {
    let rest = field.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || whole.is_empty() || rest.starts_with(['.', '[']))
}

/// Blames the field of the override that made the object invalid, as far as it can be told.
fn refused(layer: &Layer<'_>, patched: &Patched<'_>, diagnostics: &[Diagnostic]) -> Box<Diagnostic> {
    let worst =
        diagnostics.iter().max_by_key(|found| (blame(patched, &found.field).is_some(), found.field.len()));
    let Some(found) = worst else {
        return invalid(layer, "/spec/patches", "the result is not a valid object");
    };
    let reason = format!("the result is not valid: {}: {}", found.field, found.message);
    let pointer = blame(patched, &found.field).unwrap_or("/spec/patches");
    let mut diagnostic = invalid(layer, pointer, &reason);
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
