//! What is fuzzed: for each boundary that bytes cross one function that takes any bytes and panics if something does not hold.
//!
//! The fuzzer runs them (`fuzz/fuzz_targets`), and so does an ordinary test, over the corpus that is kept and what is made of
//! it. Each says whether the bytes went all the way, so that a corpus that leads nowhere shows. Must not read clocks, files or
//! randomness: equal bytes do the same.

pub mod accept;
pub mod bundle;
pub mod enrolment;
pub mod mutation;
pub mod parts;
pub mod policy;
pub mod token;
pub mod trust;

/// How far some bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// They were refused.
    Refused,
    /// They were taken for what they claim to be.
    Taken,
}

impl Reach {
    /// Taken if it is so.
    pub(crate) fn of(is_taken: bool) -> Self {
        if is_taken { Self::Taken } else { Self::Refused }
    }
}

/// A boundary.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of the fuzz target and of the folder of its corpus.
    pub name: &'static str,
    /// What is done with bytes.
    pub body: fn(&[u8]) -> Reach,
}

/// Every boundary.
pub const TARGETS: [Target; 6] = [
    Target { name: "accept", body: accept::body },
    Target { name: "bundle", body: bundle::body },
    Target { name: "enrolment", body: enrolment::body },
    Target { name: "policy", body: policy::body },
    Target { name: "token", body: token::body },
    Target { name: "trust", body: trust::body },
];
