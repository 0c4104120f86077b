//! Questions to Envoy's admin interface, over its Unix socket.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::socket;

/// How long each part of an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// The longest answer that is read: two gauges of 120 bytes for each of 4,000 listeners.
const MAX_ANSWER: u64 = 1 << 20;

/// Says whether the server is live: it has its configuration and serves it.
pub(super) fn is_live(admin: &Path) -> bool {
    request(admin, "GET", "/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Begins a graceful drain: listeners discourage new requests and close when the drain time is over.
pub(super) fn drain(admin: &Path) -> bool {
    request(admin, "POST", "/drain_listeners?graceful")
        .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Says how many downstream connections are open; `None` when the server does not answer, or not to the end.
pub(super) fn connections(admin: &Path) -> Option<u64> {
    let answer = ask(admin, "/stats?filter=downstream_cx_active$")?;
    count_connections(&answer)
}

/// Adds up the gauges of all listeners but the admin interface's own. `None`: there is none, so it is no answer.
fn count_connections(body: &str) -> Option<u64> {
    let gauges = body.lines().filter(|line| line.starts_with("listener.") || line.starts_with("http."));
    let values: Option<Vec<(&str, u64)>> = gauges
        .map(|line| line.rsplit_once(": ").and_then(|(name, value)| Some((name, value.trim().parse().ok()?))))
        .collect();
    let values = values.filter(|values| !values.is_empty())?;
    let of_others = values.iter().filter(|(name, _)| !name.contains(".admin."));
    Some(of_others.fold(0, |sum, (_, value)| sum.saturating_add(*value)))
}

/// Returns the body of an answer with status 200 that is whole (RFC 9112 §6); Envoy sends long ones in chunks.
fn body_of(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match field("content-length:") {
        Some(length) => (length.parse() == Ok(body.len())).then(|| body.to_owned()),
        None if field("transfer-encoding:") == Some("chunked") => unchunk(body),
        None => None,
    }
}

fn unchunk(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Returns the body of what the server says to a question; `None` when it does not answer, or not to the end.
pub(crate) fn ask(admin: &Path, path: &str) -> Option<String> {
    body_of(&request(admin, "GET", path)?)
}

fn request(admin: &Path, method: &str, path: &str) -> Option<String> {
    exchange(admin, method, path).ok()
}

fn exchange(admin: &Path, method: &str, path: &str) -> std::io::Result<String> {
    let mut stream = socket::connect(admin)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAUGES: &str = "http.admin.downstream_cx_active: 1\nhttp.inbound.downstream_cx_active: 2\n\
                          listener.admin.downstream_cx_active: 1\nlistener.127.0.0.1_80.downstream_cx_active: 3\n";

    fn count(answer: &str) -> Option<u64> {
        count_connections(&body_of(answer)?)
    }

    #[test]
    fn counts_connections_of_others() {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", GAUGES.len());
        assert_eq!(count(&format!("{head}{GAUGES}")), Some(5));
        let idle = "listener.admin.downstream_cx_active: 1\n";
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", idle.len());
        assert_eq!(count(&format!("{head}{idle}")), Some(0));
    }

    #[test]
    fn a_gauge_may_be_cut_by_a_chunk() {
        for at in 0..=GAUGES.len() {
            let (one, two) = GAUGES.split_at(at);
            let chunk = |text: &str| match text.len() {
                0 => String::new(),
                length => format!("{length:x}\r\n{text}\r\n"),
            };
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let answer = format!("{head}{}{}0\r\n\r\n", chunk(one), chunk(two));
            assert_eq!(count(&answer), Some(5), "{at}");
        }
    }

    /// Idle is only who says so to the end: else connections that are open would be cut.
    #[test]
    fn half_an_answer_says_nothing() {
        let answer =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{GAUGES}", GAUGES.len());
        for broken in [
            &answer,
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "",
        ] {
            assert_eq!(count(broken), None, "{broken}");
        }
    }
}
