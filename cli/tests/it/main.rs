//! The tests of the command: the real binary, on real folders and repositories, against a core in this process.
//!
//! What people read is held by golden files; paths and hashes are the same on every machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod authorization;
mod bad_input;
mod bundle;
mod completions;
mod core;
mod corpora;
mod diagnostics;
mod diff;
mod explain;
mod folder;
mod help;
mod operator;
mod policy;
mod readme;
mod render;
mod root;
mod run;
mod signature;
mod site;
mod sources;
mod status;
mod trust;
mod trust_policy;
