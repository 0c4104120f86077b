//! `spec` → its typed form: first against the shape, which notes every difference, then by serde.

use kube::CustomResourceExt;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::AddNullable;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use skerry_core::diagnostic::Code;

use crate::findings::{Findings, below};
use crate::shape::{self, Shape};

/// The fields of an object. `status` is never looked into.
const ENVELOPE: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Compiles the shape of a kind's spec from its CRD.
pub(crate) fn shape_of_crd<K: CustomResourceExt>() -> Shape {
    let crd = K::crd();
    let schema = crd.spec.versions.into_iter().next().and_then(|version| version.schema);
    let schema = schema.and_then(|schema| schema.open_api_v3_schema);
    let schema = serde_json::to_value(schema).expect("a schema is plain data");
    Shape::of_schema(&schema["properties"]["spec"])
}

/// Compiles the shape of a type that has no CRD, with the rewriting that CRDs get.
pub(crate) fn shape_of_type<T: JsonSchema>() -> Shape {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString);
    Shape::of_schema(&settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// Notes fields beside `spec` that no object has. `sops` is spoken about elsewhere.
pub(crate) fn check_envelope(findings: &mut Findings<'_>) {
    let Some(Value::Object(map)) = findings.value("") else { return };
    for name in map.keys().filter(|name| *name != "sops" && !ENVELOPE.contains(&name.as_str())) {
        let help = shape::did_you_mean(name, ENVELOPE.into_iter());
        let message = format!("there is no field `{name}` here");
        findings.error(Code::UnknownField, &below("", name), message, help);
    }
}

/// Reads the spec; one that is left out is an empty one. `None`: the findings say why.
pub(crate) fn read<T: DeserializeOwned>(shape: &Shape, findings: &mut Findings<'_>) -> Option<T> {
    let empty = Value::Object(Map::new());
    let value = match findings.value("/spec") {
        None | Some(Value::Null) => &empty,
        Some(value) => value,
    };
    read_value(shape, value, "/spec", findings)
}

/// Reads the spec as [`read`] does. One with errors is read without what is wrong, so that one look finds all mistakes
/// that do not hang together; the object is refused whatever comes of it. `None`: nothing is left to look at.
pub(crate) fn read_on<T: DeserializeOwned>(shape: &Shape, findings: &mut Findings<'_>) -> Option<T> {
    let before = findings.errors();
    let sound = read(shape, findings);
    if sound.is_some() || findings.errors() == before {
        return sound;
    }
    let mut rest = findings.value("/spec")?.clone();
    let wrong: Option<Vec<String>> = findings
        .error_pointers(before)
        .map(|pointer| shape::take_out(shape, &mut rest, pointer.strip_prefix("/spec")?))
        .collect();
    findings.look_on(wrong?.iter().map(|inside| format!("/spec{inside}")).collect());
    serde_json::from_value(rest).ok()
}

/// Reads a value that stands at `pointer`, or what is left of it. `None`: the findings say why.
pub(crate) fn read_value<T: DeserializeOwned>(
    shape: &Shape,
    value: &Value,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<T> {
    let before = findings.errors();
    shape::check(shape, value, pointer, findings);
    if findings.errors() > before {
        return None;
    }
    match serde_path_to_error::deserialize(value) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let pointer = error.path().iter().fold(pointer.to_owned(), |pointer, segment| match segment {
                Segment::Seq { index } => format!("{pointer}/{index}"),
                Segment::Map { key } => below(&pointer, key),
                Segment::Enum { .. } | Segment::Unknown => pointer,
            });
            let message = error.inner().to_string();
            findings.error(Code::InvalidField, &pointer, message, "see the reference of the kind");
            None
        }
    }
}
