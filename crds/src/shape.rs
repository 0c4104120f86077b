//! The shape of a kind: which fields it has, of which type, within which bounds.
//!
//! Compiled from the kind's structural schema (the one in its CRD), so that what is said offline and
//! what an API server says come from one source. Holds no rule that spans two fields.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::duration;
use crate::findings::below;

mod check;
mod suggest;

pub(crate) use check::check;
pub(crate) use suggest::{did_you_mean, is_near, one_of};

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Fields of their own shapes; no others.
    Object(BTreeMap<String, Field>),
    /// Any keys; values of one shape.
    Map(Box<Self>),
    /// Items of one shape, so many of them.
    List { items: Box<Self>, least: usize, most: usize },
    /// Text: one of the values if there are any, of a length in characters.
    Text { values: Vec<String>, least: usize, most: usize },
    /// Text in the form of a duration (GEP-2257).
    Duration,
    /// A whole number within bounds, both included.
    Integer { least: i64, most: i64 },
    /// A number within bounds, both included.
    Number { least: f64, most: f64 },
    /// `true` or `false`.
    Boolean,
    /// A whole number or text (`targetPort`).
    IntegerOrText,
    /// Whatever it is.
    Any,
}

/// One field of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// What its value may be.
    pub(crate) shape: Shape,
    /// Whether it must be there.
    pub(crate) required: bool,
}

impl Shape {
    /// Compiles a structural schema (no references, no alternatives of objects). What it does not know
    /// is `Any`.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        if schema.get("x-kubernetes-int-or-string").is_some() {
            return Self::IntegerOrText;
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => Self::of_object(schema),
            Some("array") => Self::List {
                items: Box::new(schema.get("items").map_or(Self::Any, Self::of_schema)),
                least: size(schema, "minItems").unwrap_or(0),
                most: size(schema, "maxItems").unwrap_or(usize::MAX),
            },
            Some("string") if schema["pattern"] == duration::PATTERN => Self::Duration,
            Some("string") => Self::Text {
                values: allowed_values(schema),
                least: size(schema, "minLength").unwrap_or(0),
                most: size(schema, "maxLength").unwrap_or(usize::MAX),
            },
            Some("integer") => Self::of_integer(schema),
            Some("number") => Self::Number {
                least: schema.get("minimum").and_then(Value::as_f64).unwrap_or(f64::MIN),
                most: schema.get("maximum").and_then(Value::as_f64).unwrap_or(f64::MAX),
            },
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }

    fn of_object(schema: &Value) -> Self {
        let required = |name: &str| {
            schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|it| it == name))
        };
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let field = |(name, schema): (&String, &Value)| {
                (name.clone(), Field { shape: Self::of_schema(schema), required: required(name) })
            };
            return Self::Object(properties.iter().map(field).collect());
        }
        match schema.get("additionalProperties") {
            Some(values) if values.is_object() => Self::Map(Box::new(Self::of_schema(values))),
            _ if schema.get("x-kubernetes-preserve-unknown-fields").is_some() => {
                Self::Map(Box::new(Self::Any))
            }
            _ => Self::Object(BTreeMap::new()),
        }
    }

    fn of_integer(schema: &Value) -> Self {
        let (least, most) = match schema.get("format").and_then(Value::as_str) {
            Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Some("uint8") => (0, i64::from(u8::MAX)),
            Some("uint16") => (0, i64::from(u16::MAX)),
            Some("uint32") => (0, i64::from(u32::MAX)),
            Some("uint64") => (0, i64::MAX),
            _ => (i64::MIN, i64::MAX),
        };
        // A bound may be written `1` or `1.0`.
        #[expect(clippy::cast_possible_truncation, reason = "bounds of schemas are small whole numbers")]
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64).map(|bound| bound as i64);
        Self::Integer {
            least: bound("minimum").map_or(least, |bound| bound.max(least)),
            most: bound("maximum").map_or(most, |bound| bound.min(most)),
        }
    }
}

/// Takes out of a value what stands at a pointer; where the shape asks for it, or where it is an item of a list, what it
/// is in. Returns what was taken out; `None` when that is all of it.
pub(crate) fn take_out(shape: &Shape, value: &mut Value, pointer: &str) -> Option<String> {
    let (mut shape, mut here) = (Some(shape), String::new());
    let mut spare: Option<String> = None;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        let parent = here.clone();
        here = below(&parent, &name);
        (shape, spare) = match shape {
            Some(Shape::Object(fields)) => match fields.get(&name) {
                Some(field) if field.required => (Some(&field.shape), spare),
                Some(field) => (Some(&field.shape), Some(here.clone())),
                None => (None, Some(here.clone())),
            },
            Some(Shape::Map(values)) => (Some(&**values), Some(here.clone())),
            Some(Shape::List { items, .. }) => (Some(&**items), spare),
            _ => (None, spare),
        };
    }
    let spare = spare?;
    let (parent, name) = spare.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    // It may be gone with what it is in already.
    if let Some(Value::Object(fields)) = value.pointer_mut(parent) {
        fields.remove(&name);
    }
    Some(spare)
}

fn size(schema: &Value, name: &str) -> Option<usize> {
    schema.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok())
}

fn allowed_values(schema: &Value) -> Vec<String> {
    let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}
