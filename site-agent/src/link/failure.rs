//! Why a connection or a call failed, in words, and what that means for the next try. Pure.

use std::error::Error;
use std::io;
use std::time::Duration;

use skerry_proto::RETRY_PUSHBACK;
use tonic::{Code, Status};

use super::End;

impl From<Status> for End {
    /// A pause that the core names is kept; else backoff decides.
    fn from(status: Status) -> Self {
        let words = format!("{}: {}", status.code(), with_causes(status.message(), status.source()));
        if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated)
            || is_alert(status.source())
        {
            return Self::NotKnown(pushback(&status).unwrap_or_default(), words);
        }
        match pushback(&status) {
            Some(pause) => Self::Pause(pause, words),
            None => Self::Lost(words),
        }
    }
}

/// Says whether an error comes of an alert of TLS: the core refused what it was shown. Of TLS 1.3 that is seen only after
/// the handshake.
fn is_alert(mut error: Option<&(dyn Error + 'static)>) -> bool {
    while let Some(cause) = error {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if matches!(tls, Some(rustls::Error::AlertReceived(_))) {
            return true;
        }
        error = cause.source();
    }
    false
}

pub(super) fn pushback(status: &Status) -> Option<Duration> {
    let text = status.metadata().get(RETRY_PUSHBACK)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_millis)
}

/// An error with its causes: tonic says "transport error" and hides the rest.
pub(crate) fn explain(error: &dyn Error) -> String {
    with_causes(&error.to_string(), error.source())
}

/// Causes that say nothing new are left out: some layers repeat what is below them.
fn with_causes(first: &str, mut cause: Option<&dyn Error>) -> String {
    let mut words = first.to_owned();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_are_told_once_each() {
        let inner = Layer("keep-alive timed out", None);
        let error = Layer("transport error", Some(Layer("transport error", Some(inner.into())).into()));
        assert_eq!(explain(&error), "transport error: keep-alive timed out");
    }

    #[test]
    fn a_time_that_the_core_names_is_kept() {
        let mut status = Status::resource_exhausted("too many reports wait");
        assert!(matches!(End::from(status.clone()), End::Lost(_)));

        status.metadata_mut().insert(RETRY_PUSHBACK, "2500".parse().unwrap());
        let End::Pause(pause, words) = End::from(status.clone()) else { panic!("no pause") };
        assert_eq!((pause.as_millis(), words.contains("too many reports wait")), (2_500, true), "{words}");

        status.metadata_mut().insert(RETRY_PUSHBACK, "soon".parse().unwrap());
        assert!(matches!(End::from(status), End::Lost(_)));
    }
}
