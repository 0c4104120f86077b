//! Protobuf JSON (proto3 JSON mapping) of resources and start files, with every `Any` written out under
//! its `@type` and fields named as in the .proto files and in Envoy's documentation: what
//! `envoy -c FILE.json` reads, and people too.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value};

use crate::envoy::{Any, bootstrap::Bootstrap};
use crate::resource::{ResourceKind, ResourceSet};

/// A bound for the unpacked descriptors: today's are 139 kB.
const MAX_DESCRIPTOR_BYTES: usize = 4 << 20;

/// The messages that start files hold; written by `cargo xtask codegen`.
static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let packed = include_bytes!("gen/envoy.binpb");
    let bytes = zstd::bulk::decompress(packed, MAX_DESCRIPTOR_BYTES).expect("the committed file is whole");
    DescriptorPool::decode(bytes.as_slice()).expect("the committed file is a descriptor set")
});

/// A message of a type that the descriptors lack.
#[derive(Debug, thiserror::Error)]
#[error("`{type_name}` cannot be written as JSON: {reason}")]
pub struct JsonError {
    /// The message's type.
    pub type_name: String,
    /// What is missing.
    pub reason: String,
}

/// Prints a start file, indented, with a line break at the end.
pub fn to_json(bootstrap: &Bootstrap) -> Result<String, JsonError> {
    Ok(print(&to_value(&Bootstrap::full_name(), &bootstrap.encode_to_vec())?))
}

/// Prints a set as one object: `clusters`, `endpoints`, `listeners`, `routes`, each by name. Secrets are left out.
pub fn resources_to_json(set: &ResourceSet) -> Result<String, JsonError> {
    let mut object = Map::new();
    for kind in ResourceKind::ALL.into_iter().filter(|kind| *kind != ResourceKind::Secret) {
        let values: Result<Map<_, _>, JsonError> = set
            .of(kind)
            .iter()
            .map(|(name, resource)| Ok((name.to_string(), any_to_value(resource.any())?)))
            .collect();
        object.insert(format!("{kind}s"), Value::Object(values?));
    }
    Ok(print(&Value::Object(object)))
}

fn any_to_value(any: &Any) -> Result<Value, JsonError> {
    to_value(any.type_url.rsplit('/').next().unwrap_or_default(), &any.value)
}

fn to_value(type_name: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    let fail = |reason: String| JsonError { type_name: type_name.to_owned(), reason };
    let descriptor =
        DESCRIPTORS.get_message_by_name(type_name).ok_or_else(|| fail("unknown type".to_owned()))?;
    let message =
        DynamicMessage::decode(descriptor.clone(), bytes).map_err(|error| fail(error.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    let value = message.serialize_with_options(serde_json::value::Serializer, &options);
    let mut value = value.map_err(|error| fail(error.to_string()))?;
    sort_maps(&mut value, descriptor);
    Ok(value)
}

/// Maps are printed in the order of a hash map, which is another one each time; sorts them by their keys.
fn sort_maps(value: &mut Value, mut descriptor: MessageDescriptor) {
    let Value::Object(fields) = value else { return };
    if let Some(Value::String(packed)) = fields.get("@type") {
        let name = packed.rsplit('/').next().unwrap_or_default();
        let Some(found) = DESCRIPTORS.get_message_by_name(name) else { return };
        descriptor = found;
    }
    for field in descriptor.fields() {
        let Some(value) = fields.get_mut(field.name()) else { continue };
        match (field.kind(), value) {
            (Kind::Message(entry), Value::Object(entries)) if field.is_map() => {
                entries.sort_keys();
                if let Kind::Message(message) = entry.map_entry_value_field().kind() {
                    entries.values_mut().for_each(|value| sort_maps(value, message.clone()));
                }
            }
            (Kind::Message(message), Value::Array(items)) => {
                items.iter_mut().for_each(|item| sort_maps(item, message.clone()));
            }
            (Kind::Message(message), value) => sort_maps(value, message),
            _ => {}
        }
    }
}

fn print(value: &Value) -> String {
    format!("{value:#}\n")
}
