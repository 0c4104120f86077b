//! Tests of the whole: real processes, real Git, real Envoys, on loopback addresses.
//!
//! They need what `cargo xtask test` builds and fetches; without it each says so in one line.

mod asker;
mod authorization;
mod bad_commit;
mod bad_links;
mod bookinfo;
mod boutique;
mod clocks;
mod commit_to_socket;
mod conformance;
mod corpora;
mod cut_off;
mod demo;
mod documented;
mod enrolment;
mod examples;
mod fault_table;
mod filler;
mod half_open;
mod killed;
mod link_events;
mod matrix;
mod offline_root;
mod operators;
mod place;
mod policy_signatures;
mod question;
mod refused;
mod removal;
mod resumed;
mod rotation;
mod said;
mod secrets;
mod storm;
mod transports;
mod two_agents;
