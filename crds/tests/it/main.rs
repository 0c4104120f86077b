//! All integration tests of the crate, in one binary: one module for each room of the source.
#![expect(clippy::too_many_lines, reason = "the texts that are read count as lines")]

mod authorization_policy;
mod bad_input;
mod corpus;
mod generated;
mod http_route;
mod mesh_and_site;
mod metadata;
mod outcome;
mod policy_source;
mod properties;
mod service;
mod site_override;
mod slips;
mod traffic_policy;
mod workload;
mod yaml;
