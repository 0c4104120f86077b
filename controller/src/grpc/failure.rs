//! The one place where a `tonic::Status` is made.

use skerry_core::id::InvalidId;
use skerry_proto::codec::reports::UnpackError;
use skerry_proto::{REFUSED_REPORT, RETRY_PUSHBACK};
use tonic::Status;
use tonic::metadata::MetadataValue;
use tracing::error;

use crate::identity::authority::NotGiven;
use crate::identity::desk::{NotHanded, NotRotated};
use crate::identity::roll::Stranger;
use crate::session::{Refusal, STARTING_RETRY, UNKNOWN_SITE_RETRY};
use crate::source::NotConfirmed;
use crate::store::StoreError;
use crate::writer::NotKept;

/// When an agent may come back that cannot be talked to: seconds. Somebody has to put another one in its place.
const REFUSED_RETRY: u32 = 300;

/// When to try again what the store did not take: seconds. A full disk is seldom made free sooner.
const STORE_RETRY: u32 = 10;

/// When reports may come again for which there was no place: seconds. The writer keeps thousands in one.
const REPORTS_RETRY: u32 = 2;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller cannot be talked to.
    Refused(Refusal),
    /// A name or digest breaks its rule.
    InvalidId(InvalidId),
    /// A report is none. What the site needs to know is which one: it would come again and again.
    RefusedReport {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that the caller got wrong.
    Invalid(String),
    /// What was named is not there.
    NotFound(String),
    /// The caller showed no certificate.
    Unknown,
    /// The caller is known, and this is not for them; or a token does not count.
    Forbidden(String),
    /// As many enrol or renew as may at once.
    TooManyAtTheDesk,
    /// What is asked for does not fit what there is.
    Conflict(String),
    /// A certificate cannot be signed.
    NotGiven(String),
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

impl Failure {
    /// When to try again: seconds; `None` where that changes nothing.
    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused(_) | Self::Forbidden(_) => Some(REFUSED_RETRY),
            Self::UnknownSite(_) => Some(UNKNOWN_SITE_RETRY),
            Self::Store(_) => Some(STORE_RETRY),
            Self::TooManyReports | Self::TooManyAtTheDesk => Some(REPORTS_RETRY),
            Self::Starting | Self::Stopping => Some(STARTING_RETRY),
            Self::InvalidId(_)
            | Self::RefusedReport { .. }
            | Self::Invalid(_)
            | Self::NotFound(_)
            | Self::NotConfirmed(_)
            | Self::Unknown
            | Self::NotGiven(_)
            | Self::Conflict(_)
            | Self::Silent => None,
        }
    }

    /// The report that this is about, and about nothing else.
    fn refused_report(&self) -> Option<u64> {
        match self {
            Self::RefusedReport { seq, .. } => Some(*seq),
            _ => None,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let retry_after = failure.retry_after().map(|seconds| u64::from(seconds) * 1000);
        let refused_report = failure.refused_report();
        let mut status = to_status(failure);
        for (key, number) in [(RETRY_PUSHBACK, retry_after), (REFUSED_REPORT, refused_report)] {
            if let Some(number) = number {
                status.metadata_mut().insert(key, MetadataValue::from(number));
            }
        }
        status
    }
}

fn to_status(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refusal @ (Refusal::OldProtocol { .. } | Refusal::OldSchema { .. })) => {
            Status::failed_precondition(refusal.to_string())
        }
        Failure::Refused(refusal) => Status::invalid_argument(refusal.to_string()),
        Failure::InvalidId(error) => Status::invalid_argument(error.to_string()),
        Failure::RefusedReport { reason: message, .. } | Failure::Invalid(message) => {
            Status::invalid_argument(message)
        }
        Failure::NotFound(message) => Status::not_found(message),
        Failure::Unknown => Status::unauthenticated(
            "no certificate was shown: enrol the site, or give the command its credentials",
        ),
        Failure::NotGiven(message) => {
            error!(message, "nothing is signed");
            Status::internal(message)
        }
        Failure::Conflict(message) => Status::failed_precondition(message),
        Failure::TooManyAtTheDesk => {
            Status::resource_exhausted("too many sites enrol or renew at once: come back later")
        }
        Failure::Forbidden(message) => Status::permission_denied(message),
        Failure::UnknownSite(site) => {
            Status::failed_precondition(format!("site {site} is not in the policy repository"))
        }
        Failure::Starting => Status::unavailable("the core has not read its policy source yet"),
        Failure::Store(error) => {
            error!(%error, help = error.help(), "a request fails");
            Status::unavailable(error.to_string())
        }
        Failure::NotConfirmed(why @ NotConfirmed::Stopping) => Status::unavailable(why.to_string()),
        Failure::NotConfirmed(why) => Status::failed_precondition(why.to_string()),
        Failure::Silent => Status::deadline_exceeded("no hello came"),
        Failure::TooManyReports => {
            Status::resource_exhausted("too many reports wait to be written: keep these and come back later")
        }
        Failure::Stopping => Status::unavailable("the core is stopping"),
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

impl From<UnpackError> for Failure {
    fn from(error: UnpackError) -> Self {
        let reason = error.to_string();
        match error {
            UnpackError::Report { seq, .. } => Self::RefusedReport { seq, reason },
            UnpackError::Batch(_) => Self::Invalid(reason),
        }
    }
}

impl From<NotRotated> for Failure {
    fn from(why: NotRotated) -> Self {
        match why {
            NotRotated::Waits(why) => Self::Conflict(why.to_string()),
            NotRotated::Store(error) => Self::Store(error),
            NotRotated::Authority(error) => Self::NotGiven(error.to_string()),
            NotRotated::Provider(error) => Self::NotGiven(error.to_string()),
        }
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

impl Failure {
    /// What an operator is told, who is no stranger themselves.
    pub(super) fn of_operator(why: NotHanded) -> Self {
        match why {
            NotHanded::Stranger(Stranger::NotEnrolled(site)) => Self::NotFound(format!(
                "no box is enrolled as site `{site}`; join tokens that it had are withdrawn"
            )),
            NotHanded::Stranger(stranger) => Self::Conflict(stranger.to_string()),
            why => why.into(),
        }
    }
}

impl From<NotHanded> for Failure {
    fn from(why: NotHanded) -> Self {
        match why {
            NotHanded::Stranger(stranger) => Self::Forbidden(stranger.to_string()),
            NotHanded::Malformed(error) => Self::Invalid(error.to_string()),
            NotHanded::Invalid(message) => Self::Invalid(message),
            NotHanded::NotGiven(why @ NotGiven::Budget(_)) => Self::Conflict(why.to_string()),
            NotHanded::NotGiven(why) => Self::NotGiven(why.to_string()),
            NotHanded::Undelivered(error) => Self::Conflict(error.to_string()),
            NotHanded::Provider(error) => Self::NotGiven(error.to_string()),
            NotHanded::Store(error) => Self::Store(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Invariant 9: the core says when to come back, also where an answer is an error.
    #[test]
    fn invariant_9_who_is_sent_away_is_told_when_to_come_back() {
        for (failure, expected) in [
            (Failure::TooManyReports, Some("2000")),
            (Failure::Stopping, Some("1000")),
            (Failure::Refused(Refusal::OldProtocol { protocol: 0 }), Some("300000")),
            (Failure::UnknownSite("s9".to_owned()), Some("30000")),
            (Failure::NotFound("s9".to_owned()), None),
        ] {
            let words = format!("{failure:?}");
            let status = Status::from(failure);
            let pushback = status.metadata().get(RETRY_PUSHBACK).map(|value| value.to_str().unwrap());
            assert_eq!(pushback, expected, "{words}");
        }
    }

    #[test]
    fn only_what_is_about_a_report_names_one() {
        let report = Failure::RefusedReport { seq: 42, reason: "it is none".to_owned() };
        for (failure, expected) in [
            (report, Some("42")),
            (Failure::Invalid("`boot` has 3 bytes, not 12".to_owned()), None),
            (Failure::Refused(Refusal::TooManyWants { wants: 99_999 }), None),
            (Failure::TooManyReports, None),
            (Failure::UnknownSite("s9".to_owned()), None),
        ] {
            let words = format!("{failure:?}");
            let status = Status::from(failure);
            let named = status.metadata().get(REFUSED_REPORT).map(|value| value.to_str().unwrap());
            assert_eq!(named, expected, "{words}");
        }
    }
}
