//! All integration tests of the crate, in one binary: one module for each room of the source.

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
mod traffic_policy;
mod workload;
mod yaml;
