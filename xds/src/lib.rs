//! Lowering and serving: what turns a bundle and local facts into Envoy's resources, and the xDS
//! session that hands them to a proxy.
//!
//! Pure and synchronous: no clock, no environment, no files, no sockets. Who calls this crate reads
//! the bundle, writes the bootstrap and moves the bytes.
//!
//! * [`lower`](lower::lower) makes the [`ResourceSet`](resource::ResourceSet) of one proxy.
//! * [`secret`] makes the secrets that such a set may name.
//! * [`check`](check::check) looks at such a set from the outside: do all references hold?
//! * [`bootstrap`] renders one self-contained start file, or one that subscribes to the agent.
//! * [`session`] is delta and SotW ADS as a state machine.
//! * `json` (the feature of that name) prints any of it for people and for `envoy -c`.

pub mod audit;
pub mod bootstrap;
pub mod check;
mod envoy;
#[cfg(feature = "json")]
pub mod json;
pub mod lower;
pub mod resource;
pub mod secret;
pub mod session;
