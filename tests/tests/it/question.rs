//! One question to a service and what the answer must be: the rows of the tables of these tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use hyper::Method;
use skerry_tests::http::{Reply, Request};
use skerry_tests::sample::Echo;

/// What must be seen where.
#[derive(Debug, Clone)]
enum Expected {
    /// The status code of the answer.
    Status(u16),
    /// The version of the backend that was asked.
    Version(&'static str),
    /// The path that the backend saw.
    Path(&'static str),
    /// A header as the backend saw it.
    Seen(&'static str, Option<&'static str>),
    /// A header of the answer.
    Header(&'static str, Option<&'static str>),
    /// The how many-th try the answer is of.
    Attempt(u64),
}

/// One question with its answer.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    name: &'static str,
    request: Request,
    expected: Vec<Expected>,
}

impl Question {
    /// Asks a path with GET. Unless said otherwise, the status of the answer must be 200.
    pub(crate) fn get(name: &'static str, target: &str) -> Self {
        Self::new(name, Method::GET, target)
    }

    /// Asks a path.
    pub(crate) fn new(name: &'static str, method: Method, target: &str) -> Self {
        let request = Request::new(method, target).header("host", "echo.shop");
        Self { name, request, expected: Vec::new() }
    }

    /// Sends a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Expects this status.
    pub(crate) fn status(self, status: u16) -> Self {
        self.expect(Expected::Status(status))
    }

    /// Expects the answer of this version.
    pub(crate) fn by(self, version: &'static str) -> Self {
        self.expect(Expected::Version(version))
    }

    /// Expects the backend to see this path.
    pub(crate) fn path(self, path: &'static str) -> Self {
        self.expect(Expected::Path(path))
    }

    /// Expects the backend to see this header; several of one name are joined by commas.
    pub(crate) fn seen(self, name: &'static str, value: &'static str) -> Self {
        self.expect(Expected::Seen(name, Some(value)))
    }

    /// Expects the backend not to see this header.
    pub(crate) fn not_seen(self, name: &'static str) -> Self {
        self.expect(Expected::Seen(name, None))
    }

    /// Expects this header in the answer; several of one name are joined by commas.
    pub(crate) fn header(self, name: &'static str, value: &'static str) -> Self {
        self.expect(Expected::Header(name, Some(value)))
    }

    /// Expects this header not to be in the answer.
    pub(crate) fn no_header(self, name: &'static str) -> Self {
        self.expect(Expected::Header(name, None))
    }

    /// Expects the answer of the how many-th try.
    pub(crate) fn attempt(self, attempt: u64) -> Self {
        self.expect(Expected::Attempt(attempt))
    }

    fn expect(mut self, expected: Expected) -> Self {
        self.expected.push(expected);
        self
    }

    /// Asks, and says what was not as expected.
    pub(crate) async fn ask(&self, service: SocketAddr) -> Result<()> {
        let reply = self.request.send(service).await?;
        let status = self.expected.iter().any(|expected| matches!(expected, Expected::Status(_)));
        if !status {
            Expected::Status(200).check(&reply)?;
        }
        self.expected.iter().try_for_each(|expected| expected.check(&reply))
    }
}

impl Expected {
    fn check(&self, reply: &Reply) -> Result<()> {
        let echo = || reply.json::<Echo>();
        match self {
            Self::Status(status) => {
                let text = reply.text();
                ensure!(
                    reply.status.as_u16() == *status,
                    "status {}, not {status}: {}",
                    reply.status,
                    text.trim_end()
                );
            }
            Self::Version(version) => same("version", Some(&echo()?.identity.version), Some(version))?,
            Self::Path(path) => same("path", Some(&echo()?.path), Some(path))?,
            Self::Seen(name, value) => {
                same(&format!("seen {name}"), echo()?.header(name).as_deref(), *value)?;
            }
            Self::Header(name, value) => {
                same(&format!("header {name}"), joined(reply, name).as_deref(), *value)?;
            }
            Self::Attempt(attempt) => {
                let seen = echo()?.attempt;
                ensure!(seen == *attempt, "try {seen}, not {attempt}");
            }
        }
        Ok(())
    }
}

fn same(what: &str, seen: Option<&str>, expected: Option<&str>) -> Result<()> {
    ensure!(seen == expected, "{what} is {seen:?}, not {expected:?}");
    Ok(())
}

/// The values of a header of the answer, joined as RFC 9110 §5.3 says.
fn joined(reply: &Reply, name: &str) -> Option<String> {
    let values: Vec<_> = reply.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Asks all questions and fails with every one that was answered otherwise.
pub(crate) async fn ask_all(service: SocketAddr, questions: &[Question]) {
    let mut wrong = Vec::new();
    for question in questions {
        if let Err(error) = question.ask(service).await {
            wrong.push(format!("{}: {error:#}", question.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} answers are wrong:\n{}",
        wrong.len(),
        questions.len(),
        wrong.join("\n")
    );
}

/// Asks one path many times and counts the answers: by version of the backend, or by status where there is none.
pub(crate) async fn count(service: SocketAddr, target: &str, times: u32) -> BTreeMap<String, u32> {
    let request = Request::get(target).header("host", "echo.shop");
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        let reply = request.send(service).await.expect("there is an answer, good or bad");
        let by = match reply.status.as_u16() {
            200 => reply.json::<Echo>().expect("a backend answers with JSON").identity.version,
            status => status.to_string(),
        };
        *counts.entry(by).or_default() += 1;
    }
    counts
}

/// Asserts that a share of the answers is about so many percent: within five standard deviations, so
/// that it fails by chance once in a million runs.
pub(crate) fn assert_share(counts: &BTreeMap<String, u32>, of: &str, percent: u32) {
    let total = f64::from(counts.values().sum::<u32>());
    let chance = f64::from(percent) / 100.0;
    let seen = f64::from(counts.get(of).copied().unwrap_or_default());
    let deviation = (total * chance * (1.0 - chance)).sqrt();
    assert!((seen - total * chance).abs() <= 5.0 * deviation, "{of} should have {percent} % of {counts:?}");
}
