//! The identities of the site's workloads: minted here from the site's authority, renewed in time, and handed to the proxies.
//!
//! Keys live in memory, and in the secrets of each proxy's own folder (docs/adr/0016). They are never logged or shown.

pub(crate) mod believed;
#[cfg(test)]
pub(crate) mod fixture;
mod issued;
mod leaving;
mod minter;
mod time;

pub(crate) use issued::{Entry, Issued};
pub(crate) use minter::{Minter, News};
pub(crate) use time::Clocks;
