//! The named steps of a commit and of a report, in the order in which the core takes them: where a test
//! may end the process to see what is left. Each is a `tracing` event of target [`TARGET`] with the
//! field `step`. Decides nothing, and costs one comparison while nobody listens.

/// The target of the events: the agent's steps have the same.
pub const TARGET: &str = "skerry::step";

/// Every step: its name, and what is true when it is named.
pub const STEPS: [(&str, &str); 11] = [
    ("core.commit.fetched", "a new head is in the mirror; nothing of it is read"),
    ("core.commit.read", "its objects are read; the revision in force is still the one before"),
    ("core.commit.compiled", "the index holds it; no site has a new generation"),
    ("core.commit.numbered", "generations are given, in memory alone"),
    ("core.commit.storing", "inside the transaction: all is written, nothing is committed"),
    ("core.commit.stored", "generations and revision are on disk; no site is shown anything"),
    ("core.commit.published", "sites that ask are offered it; none was woken"),
    ("core.commit.woken", "connected sites were told"),
    ("core.report.folded", "inside the transaction: reports are written, nothing is committed"),
    ("core.report.stored", "reports are on disk; the site does not know"),
    ("core.report.answered", "the answer to the site is on its way"),
];

/// Names a step of [`STEPS`].
pub(crate) fn step(name: &'static str) {
    debug_assert!(STEPS.iter().any(|(known, _)| *known == name), "`{name}` is not among the steps");
    tracing::trace!(target: TARGET, step = name);
}
