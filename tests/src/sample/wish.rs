//! What a request asks a sample to answer with: by query, or by header when the query is not to be touched.
//!
//! | query | header | effect |
//! | --- | --- | --- |
//! | `status=503` | `x-sample-status` | answers with this status |
//! | `fail=2` | `x-sample-fail` | only the first 2 requests of the key get that status (503 if none is given), then 200 |
//! | `delay_ms=40` | `x-sample-delay-ms` | waits first; with `fail`, every time |
//! | `key=abc` | `x-sample-key` | what attempts are counted by |
//! | `header=name:value` | `x-sample-header` | adds a header to the answer |

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::Echo;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The status to answer with.
    pub status: StatusCode,
    /// How many requests of the key get `status` before it is 200; `None`: all do.
    pub fail: Option<u64>,
    /// How long to wait before the answer.
    pub delay: Duration,
    /// What attempts are counted by.
    pub key: String,
    /// Headers to answer with.
    pub headers: Vec<(String, String)>,
}

impl Wish {
    /// Reads a request's wish; what cannot be read is not wished.
    pub fn of(echo: &Echo) -> Self {
        let read = |name: &str| values(echo, name).into_iter().next_back();
        let fail = read("fail").and_then(|text| text.parse().ok());
        let default = if fail.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let status = read("status").and_then(|text| text.parse().ok()).unwrap_or(default);
        let delay = read("delay_ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let headers = values(echo, "header");
        let headers = headers.iter().filter_map(|text| text.split_once(':'));
        Self {
            status,
            fail,
            delay: delay.unwrap_or_default(),
            key: read("key").unwrap_or_default(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Makes the answer.
    pub fn to_response(&self, echo: &Echo) -> Response<Full<Bytes>> {
        let over = self.fail.is_some_and(|fail| echo.attempt > fail);
        let mut body = serde_json::to_vec(echo).unwrap_or_default();
        body.push(b'\n');
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = if over { StatusCode::OK } else { self.status };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// The values of a wish, those of headers first.
fn values(echo: &Echo, name: &str) -> Vec<String> {
    let header = format!("x-sample-{}", name.replace('_', "-"));
    let by_header = echo.headers.get(&header).cloned().unwrap_or_default();
    let pairs = echo.query.split('&').filter_map(|pair| pair.split_once('='));
    by_header
        .into_iter()
        .chain(pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::Identity;

    fn echo(query: &str) -> Echo {
        let headers =
            BTreeMap::from([("x-sample-header".to_owned(), vec!["a:1".to_owned(), "a:2".to_owned()])]);
        let (method, path) = ("GET".to_owned(), "/".to_owned());
        Echo {
            identity: Identity::new("tea", "v1"),
            method,
            path,
            query: query.to_owned(),
            headers,
            attempt: 2,
        }
    }

    #[test]
    fn a_request_steers_its_answer() {
        let wish = Wish::of(&echo("key=k&status=502&delay_ms=40"));
        assert_eq!((wish.status.as_u16(), wish.delay.as_millis(), wish.key.as_str()), (502, 40, "k"));
        let response = wish.to_response(&echo(""));
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers().get_all("a").iter().count(), 2);
    }

    #[test]
    fn fails_only_the_first_attempts() {
        assert_eq!(Wish::of(&echo("fail=2")).to_response(&echo("")).status(), 503);
        assert_eq!(Wish::of(&echo("fail=1")).to_response(&echo("")).status(), 200);
    }
}
