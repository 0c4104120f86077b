//! Envoy's runtime: the few of its settings that are not part of any resource.

use std::collections::HashMap;

use crate::envoy::bootstrap::runtime_layer::LayerSpecifier;
use crate::envoy::bootstrap::{LayeredRuntime, RuntimeLayer};
use crate::envoy::{Number, Struct, Value};

/// The largest program that a regular expression may become. Envoy's own limit of 100 refuses many that
/// people write, and with one of them its whole route table; `skerry-crds` bounds their length already.
const MAX_REGEX_PROGRAM: f64 = 32_768.0;

/// Makes the one layer of settings. One field alone: the order of several would not be fixed.
pub(super) fn layers() -> LayeredRuntime {
    let limit = Value { kind: Some(Number(MAX_REGEX_PROGRAM)) };
    let fields = HashMap::from([("re2.max_program_size.error_level".to_owned(), limit)]);
    let layer = LayerSpecifier::StaticLayer(Struct { fields });
    LayeredRuntime { layers: vec![RuntimeLayer { name: "skerry".to_owned(), layer_specifier: Some(layer) }] }
}
