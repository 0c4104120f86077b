//! The named steps of an apply and of a spool, in the order in which the agent takes them: where a test
//! may end the process to see what is left. Each is a `tracing` event of target [`TARGET`] with the
//! field `step`. Decides nothing, and costs one comparison while nobody listens.

/// The target of the events.
pub const TARGET: &str = "skerry::step";

/// Every step: its name, and what is true when it is named.
pub const STEPS: [(&str, &str); 20] = [
    ("agent.apply.offer-received", "an offer was read; nothing of it is kept"),
    ("agent.apply.fragments-staged", "a batch of its fragments is on disk; not with a small offer"),
    ("agent.apply.candidate-stored", "manifest, list and all fragments are on disk as candidate"),
    ("agent.apply.verified", "what is on disk was read back and verified"),
    ("agent.apply.lowered", "it was lowered for every proxy"),
    ("agent.apply.pushed", "every proxy's stream was handed its resources"),
    ("agent.apply.acked", "every live proxy has acknowledged all; nothing of that is on disk"),
    ("agent.apply.promoted", "inside the commit: the candidate is current, what was current previous"),
    ("agent.apply.floor-raised", "inside the commit: the floors are the new manifest's"),
    (
        "agent.apply.previous-dropped",
        "inside the commit: fragments that only the old previous named are gone",
    ),
    ("agent.apply.committed", "the commit is on disk; the core has not been told"),
    ("agent.apply.answered", "the answer to the core waits for the link"),
    ("agent.apply.snapshot-written", "every proxy's snapshot on disk is that of the new bundle"),
    ("agent.apply.condemned", "a proxy spoke against it; nothing of that is on disk"),
    ("agent.apply.rolled-back", "the candidate is gone from disk and remembered as refused"),
    ("agent.apply.resumed", "an agent that was started found a candidate and goes on with it"),
    ("agent.spool.queued", "reports are on disk"),
    ("agent.spool.sending", "a batch was read from disk and is about to be sent"),
    ("agent.spool.acknowledged", "the core has kept the batch; it is still on disk here"),
    ("agent.spool.trimmed", "the batch is forgotten here"),
];

/// Names a step of [`STEPS`].
pub(crate) fn step(name: &'static str) {
    debug_assert!(STEPS.iter().any(|(known, _)| *known == name), "`{name}` is not among the steps");
    tracing::trace!(target: TARGET, step = name);
}
