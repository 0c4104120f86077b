//! The core end to end: a real Git repository on disk, a real store, a gRPC client as the site.

mod admission;
mod bad_source;
mod current;
mod damaged;
mod fleet;
mod full_disk;
mod guard;
mod lost_hold;
mod news;
mod offer;
mod operator;
mod program;
mod read_only_disk;
mod release;
mod report;
mod rig;
mod session;
mod setback;
mod signature;
mod store;
mod webhook;
