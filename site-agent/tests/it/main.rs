//! The agent's binary against a small core of the test's own and real Envoys.
//!
//! Every case waits for what it expects with a deadline, and ends what it started. Cases that need
//! Envoy are skipped, with a word, where there is none (`$ENVOY`, or `cargo xtask envoy`).

#![allow(clippy::unwrap_used, reason = "what a case needs and cannot have ends it")]

mod authority;
mod backend;
mod bundle;
mod callee;
mod caller;
mod core;
mod envoy;
mod eventually;
mod http;
mod inside;
mod network;
mod site;
#[path = "../../../tests/shared/tls_core.rs"]
mod tls_core;

mod apply;
mod disk;
mod durability;
mod handover;
mod identity;
mod lies;
mod link;
mod policy_keys;
mod program;
mod supervision;
