//! Tests of the whole: real processes, real Git, real Envoys, on loopback addresses.
//!
//! They need what `cargo xtask test` builds and fetches; without it each says so in one line.

mod bad_commit;
mod bookinfo;
mod commit_to_socket;
mod conformance;
mod corpora;
mod cut_off;
mod examples;
mod place;
mod question;
