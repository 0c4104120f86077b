//! A client that sends exactly what it is told, over one HTTP/1.1 connection each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// Which backend answered.
    pub(crate) fn backend(&self) -> &str {
        self.header("backend").unwrap_or("none")
    }
}

/// Gets a path with the host `svc` and no other header.
pub(crate) fn get(at: SocketAddr, path: &str) -> Answer {
    send(at, "GET", path, &[("host", "svc")])
}

/// Sends a request with exactly these headers, and `connection: close`.
pub(crate) fn send(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    exchange(at, &format!("{request}\r\n"))
}

/// Reads as much as the length says: Envoy keeps a connection that it will close open for a second.
fn exchange(at: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(at).unwrap_or_else(|error| panic!("cannot connect to {at}: {error}"));
    stream.set_read_timeout(Some(crate::envoy::DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the answer ends early: {head:?}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not an answer: {head:?}"));
    let mut answer = Answer { status, head, body: String::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_string(&mut answer.body).unwrap();
    answer
}
