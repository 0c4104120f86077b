//! Starters of the real programs: a core, site agents, the Envoys that agents start, and Envoys from a snapshot.
//!
//! Each knows how to start, to stop in a hurry or in peace, and to start again in the same folder
//! and on the same addresses.

mod admin;
mod agent;
mod binaries;
mod core;
mod doom;
mod envoy;
mod status;
mod trust;
mod workload;

pub use admin::Loaded;
pub use agent::{Agent, XdsMode};
pub use binaries::Binaries;
pub use core::Core;
pub use doom::Doom;
pub use envoy::StaticEnvoy;
pub use status::FleetView;
pub use trust::{Papers, agent_tls, credentials_file, skerry};
pub use workload::{Sidecar, Workload};
