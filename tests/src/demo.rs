//! The demo: three sites, real Git and real Envoys, told in plain words and asserted step by step.
//!
//! `program` is the command line and the clean end, `stage` what is set up, `steps` what is shown,
//! `narrator` the only place that prints.

mod narrator;
mod prober;
pub mod program;
mod site;
mod stage;
mod steps;
