//! Stub backends: HTTP/1.1 servers on threads of their own, that tell what they were sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    /// The values of a header, joined by commas; `None` if it is not there.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// What a backend does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
}

/// A running backend. Its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Backend {
    /// Starts a backend that answers 200 with a header `backend: <name>`.
    pub(crate) fn start(name: &'static str) -> Self {
        Self::script(name, |_| Reply::Status(200))
    }

    /// Starts a backend whose replies are chosen by the number of the request, from 0.
    pub(crate) fn script(name: &'static str, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (seen, reply) = (Arc::clone(&backend.seen), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                std::thread::spawn(move || converse(&stream, name, &seen, reply.as_ref()));
            }
        });
        backend
    }

    /// Everything that was sent so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What was sent last.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the backend was asked")
    }
}

fn converse(
    mut stream: &TcpStream,
    name: &str,
    seen: &Mutex<Vec<Seen>>,
    reply: &(dyn Fn(usize) -> Reply + Send + Sync),
) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match reply(number) {
            Reply::Close => return,
            Reply::Hang => drop(reader.read_to_end(&mut Vec::new())),
            Reply::Status(status) => {
                let head =
                    format!("HTTP/1.1 {status} Scripted\r\nbackend: {name}\r\nserver: stub\r\nx-old: 1\r\n");
                let _ = write!(stream, "{head}content-length: {}\r\n\r\n{name}", name.len());
            }
        }
    }
}

/// Reads one request; its body is thrown away. `None` at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<_> = lines[1..].iter().filter_map(|line| split(line)).collect();
    let seen = Seen { method, path, headers };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut Vec::new()).ok()?;
    Some(seen)
}

fn split(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}
