//! Invariant 4: killed (SIGKILL) at every step of an apply, a spool and a commit, agent and core come back
//! with no half of a bundle, nothing lost that was acknowledged, and no generation going back.

mod ledger;
mod seeds;
mod table;
