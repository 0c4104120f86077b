//! The harness: everything that a test of more than one crate needs, and the demo built of it.
//!
//! It starts the real binaries, real Git and real Envoys, on loopback addresses and in folders of
//! their own, and ends all of them by their ids. It holds no expectations: those are in `tests/it`
//! and in `demo`.

mod accept;
pub mod bench;
pub mod clock;
pub mod crowd;
pub mod demo;
pub mod fleet;
pub mod git_http;
pub mod http;
pub mod link;
pub mod netns;
pub mod ports;
pub mod process;
pub mod repo;
pub mod run;
pub mod sample;
pub mod signals;
pub mod skipped;
pub mod victim;
pub mod wait;
