//! The crate's integration tests: golden files of what is lowered, real Envoys that run it, and
//! scripted clients of the xDS session.

mod ads;
mod backend;
mod client;
mod envoy;
mod golden;
mod references;
mod served;
mod session;
mod site;
