//! The crate's integration tests: real repositories in temporary folders, real `git` over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it is")]

mod age;
mod blame;
mod catalog;
mod error_text;
mod fetch;
mod flawed;
mod folder;
mod guard;
mod http_remote;
mod kept;
mod known_hosts;
mod poll;
mod properties;
mod provenance;
mod remote;
mod removal;
mod repository;
mod revision;
mod snapshot;
mod ssh;
mod tree;
mod webhook;
