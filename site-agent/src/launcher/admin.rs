//! Three questions to Envoy's admin interface, over its Unix socket.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::socket;

/// How long each part of an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// The longest answer that is read: each one is a line or a few.
const MAX_ANSWER: u64 = 16 << 10;

/// Says whether the server is live: it has its configuration and serves it.
pub(super) fn is_live(admin: &Path) -> bool {
    ask(admin, "GET", "/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Begins a graceful drain: listeners discourage new requests and close when the drain time is over.
pub(super) fn drain(admin: &Path) -> bool {
    ask(admin, "POST", "/drain_listeners?graceful").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Says how many downstream connections are open; `None` when the server does not answer.
pub(super) fn connections(admin: &Path) -> Option<u64> {
    let answer = ask(admin, "GET", "/stats?filter=downstream_cx_active$")?;
    answer.starts_with("HTTP/1.1 200").then(|| count_connections(&answer))
}

/// Adds up the gauges of all listeners but the admin interface's own.
fn count_connections(answer: &str) -> u64 {
    let gauges = answer.lines().filter(|line| line.starts_with("listener.") || line.starts_with("http."));
    let values = gauges.filter(|line| !line.contains(".admin.")).filter_map(|line| line.rsplit_once(": "));
    values.filter_map(|(_, value)| value.trim().parse::<u64>().ok()).fold(0, u64::saturating_add)
}

fn ask(admin: &Path, method: &str, path: &str) -> Option<String> {
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

    #[test]
    fn counts_connections_of_others() {
        let answer = "HTTP/1.1 200 OK\r\n\r\nhttp.admin.downstream_cx_active: 1\nhttp.inbound.downstream_cx_active: 2\n\
                      listener.admin.downstream_cx_active: 1\nlistener.127.0.0.1_80.downstream_cx_active: 3\n";
        assert_eq!(count_connections(answer), 5);
        assert_eq!(count_connections("HTTP/1.1 200 OK\r\n\r\n"), 0);
    }
}
