//! Tests of the protocol crate: one binary, one file for each module.

mod chunk;
mod diagnostic;
mod fragment;
mod limits;
mod list;
mod reports;
mod samples;
