//! Skerry's pure core: everything that decides, nothing that acts.
//!
//! No clock, no randomness, no files, no network: time and environment are arguments. The crate's
//! dependency list holds that rule, and `cargo xtask tidy` holds the dependency list.

pub mod accept;
pub mod bundle;
pub mod check;
pub mod compile;
pub mod delta;
pub mod diagnostic;
pub mod document;
pub mod form;
pub mod id;
pub mod index;
pub mod ledger;
pub mod overrides;
pub mod pace;
pub mod policy;
pub mod policy_digest;
pub mod provenance;
pub mod removal;
pub mod selector;
pub mod trace;
pub mod verify;
pub mod workload;
pub mod world;
