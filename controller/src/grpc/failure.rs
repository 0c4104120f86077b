//! The one place where a `tonic::Status` is made.

use skerry_core::id::InvalidId;
use tonic::Status;
use tracing::error;

use crate::session::Refusal;
use crate::source::NotConfirmed;
use crate::store::StoreError;
use crate::writer::NotKept;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller cannot be talked to.
    Refused(Refusal),
    /// A name or digest breaks its rule.
    InvalidId(InvalidId),
    /// Anything else that the caller got wrong.
    Invalid(String),
    /// What was named is not there.
    NotFound(String),
    /// The site is not in the policy repository.
    UnknownSite(String),
    /// The core has not read its source yet, so it knows no sites.
    Starting,
    /// The store cannot be used.
    Store(StoreError),
    /// The confirmation has no effect.
    NotConfirmed(NotConfirmed),
    /// The caller said nothing in time.
    Silent,
    /// So many reports wait already that these were not taken.
    TooManyReports,
    /// The core is ending.
    Stopping,
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal @ (Refusal::OldProtocol { .. } | Refusal::OldSchema { .. })) => {
                Self::failed_precondition(refusal.to_string())
            }
            Failure::Refused(refusal) => Self::invalid_argument(refusal.to_string()),
            Failure::InvalidId(error) => Self::invalid_argument(error.to_string()),
            Failure::Invalid(message) => Self::invalid_argument(message),
            Failure::NotFound(message) => Self::not_found(message),
            Failure::UnknownSite(site) => {
                Self::failed_precondition(format!("site {site} is not in the policy repository"))
            }
            Failure::Starting => Self::unavailable("the core has not read its policy source yet"),
            Failure::Store(error) => {
                error!(%error, help = error.help(), "a request fails");
                Self::unavailable(error.to_string())
            }
            Failure::NotConfirmed(why @ NotConfirmed::Stopping) => Self::unavailable(why.to_string()),
            Failure::NotConfirmed(why) => Self::failed_precondition(why.to_string()),
            Failure::Silent => Self::deadline_exceeded("no hello came"),
            Failure::TooManyReports => Self::resource_exhausted(
                "too many reports wait to be written: keep these and come back later",
            ),
            Failure::Stopping => Self::unavailable("the core is stopping"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<InvalidId> for Failure {
    fn from(error: InvalidId) -> Self {
        Self::InvalidId(error)
    }
}

impl From<NotKept> for Failure {
    fn from(why: NotKept) -> Self {
        match why {
            NotKept::Full => Self::TooManyReports,
            NotKept::Stopping => Self::Stopping,
            NotKept::Store(error) => Self::Store(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
