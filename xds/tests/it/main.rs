//! The crate's integration tests: golden files of what is lowered, real Envoys that run it, and
//! scripted clients of the xDS session.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod ads;
mod authorization;
mod backend;
mod client;
mod envoy;
mod golden;
mod identity;
mod incremental;
mod lowering;
mod parts;
mod references;
mod served;
mod session;
mod site;
