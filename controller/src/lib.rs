//! The core of a fleet: follows a policy repository, compiles it, serves bundles to sites and keeps
//! what they report.
//!
//! The way of a change: [`source`] → [`planner`] → [`publish`] → [`session`] behind [`grpc`]; the way
//! of a report: [`grpc`] → [`writer`] → [`report`] in [`store`] → [`status`]. What decides is
//! synchronous and takes values; [`app`] makes the parts and runs them.

pub mod admission;
pub mod app;
pub mod args;
pub mod clock;
pub mod config;
pub mod epoch;
pub mod files;
pub mod folder;
pub mod grpc;
pub mod identity;
pub mod planner;
pub mod policy;
pub mod presence;
pub mod publish;
pub mod report;
pub mod run;
#[cfg(test)]
mod samples;
pub mod seen;
pub mod session;
pub mod source;
pub mod status;
pub mod step;
pub mod store;
pub mod tasks;
pub mod webhook;
pub mod writer;
