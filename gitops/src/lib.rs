//! Git → policies: mirrors of policy repositories, what changed between commits, and the objects of a commit with
//! their ages.
//!
//! Blocking and quiet: no async, no printing, no environment. The controller runs it on a thread of its own; the CLI
//! calls [`snapshot::load`]. Decisions are pure functions beside thin readers: [`snapshot::catalog`], [`guard`], [`removal`],
//! [`provenance`], [`poll`], [`webhook`], [`known_hosts`].

pub mod age;
pub mod blame;
pub mod credentials;
pub mod fetch_error;
pub mod guard;
pub mod history;
pub mod known_hosts;
pub mod limits;
pub mod mirror;
pub mod oid;
pub mod pattern;
pub mod poll;
pub mod provenance;
pub mod read_error;
pub mod reference;
pub mod remote;
pub mod removal;
pub mod snapshot;
pub mod tree;
pub mod webhook;
