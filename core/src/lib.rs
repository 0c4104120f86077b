//! Skerry's pure core: everything that decides, nothing that acts.
//!
//! No clock, no randomness, no files, no network: time and environment are arguments. The crate's
//! dependency list holds that rule, and `cargo xtask tidy` holds the dependency list.

pub mod bundle;
pub mod diagnostic;
pub mod document;
pub mod id;
pub mod policy;
pub mod selector;
pub mod workload;
pub mod world;
