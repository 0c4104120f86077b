//! The site and fleet protocols: generated messages, their caps, and what turns core values into
//! wire values and back.
//!
//! Must not decide anything (the session machines of controller and agent do) and must not open a
//! connection.

pub mod buffers;
pub mod codec;
pub mod diagnostic;
pub mod limits;
pub mod tls;

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rust_2018_idioms,
    clippy::all,
    clippy::pedantic,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "generated from sync.proto, fleet.proto, policy.proto, enrolment.proto and workload.proto, which are documented"
)]
#[rustfmt::skip]
pub mod r#gen {
    //! Messages, clients and servers of `skerry.sync.v1`, and those of the SPIFFE Workload API.
    #[path = "skerry.sync.v1.rs"]
    pub mod v1;
    pub mod spiffe;
}

/// How the core says beside an error when to try again: metadata of the answer, milliseconds (gRFC A6, server
/// pushback).
pub const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// How the core says beside an error that it is about a report, and about no other thing: metadata of the answer, the
/// number of the first report that it refuses (`Report.seq`), decimal.
pub const REFUSED_REPORT: &str = "skerry-refused-report";

/// The SPIFFE Workload API.
pub use r#gen::spiffe;

/// The messages of `skerry.sync.v1`.
pub use r#gen::v1;
