//! The site agent: fetches a site's bundle, keeps the last good one, and serves it to local Envoys.
//!
//! Everything that decides is a synchronous state machine (`machine`, `fetch`, `report`,
//! `launcher::machine`); everything that acts is a short loop around one. The agent never waits
//! for the link to serve, and nothing that the link does or fails to do removes what runs.

pub mod app;
pub mod args;
pub mod config;
pub mod enrolment;
pub mod layout;
pub mod link;
pub mod step;

mod ads;
mod bind;
mod clock;
mod counts;
mod enrol;
mod fetch;
mod identity;
mod launcher;
mod machine;
mod mailbox;
mod report;
mod show;
mod site;
mod snapshot;
mod store;
mod supervise;
mod workload_api;
mod workloads;
