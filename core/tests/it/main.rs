//! Tests of the pure core. Policies are written as YAML and decoded by `skerry-crds`, as in real life.

mod accept;
mod builder;
mod compile;
mod events;
mod explain;
mod invariants;
mod ledger;
mod overrides;
mod precedence;
mod selector;
mod traffic;
mod verify;
