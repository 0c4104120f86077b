//! Kubernetes-shaped policies: bytes → documents → the typed objects of `skerry-core`.
//!
//! [`parse`] splits a file and finds the place of every field; [`decode`] makes an object of a document,
//! or says with file, line and field path why not. Skerry's own kinds are in [`api`], from which
//! [`generate`] writes CRDs and their reference.
//!
//! Pure: no files, no network, no clock. Whatever the bytes, nothing here panics or runs without bounds.

pub mod api;
mod decode;
mod findings;
pub mod generate;
pub mod policy_source;
mod shape;
pub mod workload;
pub mod yaml;

pub use decode::decode;
pub use policy_source::{PolicySource, decode_policy_source};
pub use workload::{decode_workload, load_workloads};
pub use yaml::{Parsed, parse};
