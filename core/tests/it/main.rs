//! Tests of the pure core. Policies are written as YAML and decoded by `skerry-crds`, as in real life.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod accept;
mod authorization;
mod builder;
mod call;
mod compile;
mod events;
mod explain;
mod invariants;
mod ledger;
mod lists;
mod overrides;
mod precedence;
mod selector;
mod traffic;
mod verify;
