//! x
pub mod api;
mod findings;
mod shape;
pub mod yaml;
