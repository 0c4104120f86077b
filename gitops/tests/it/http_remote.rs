//! A small HTTP server in front of the real `git http-backend` (CGI, RFC 3875), with faults on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Serves anyone.
    Open,
    /// Asks for this user and password.
    Basic(&'static str, &'static str),
    /// Answers every request with this status line and headers.
    Answer(String),
    /// Takes the request and says nothing.
    Silent,
    /// Answers the advertisement, and says nothing when the pack is asked for.
    SilentOnPack,
    /// Breaks the connection off in the middle of the pack.
    CutPack,
}

/// Serves a folder of repositories until it is dropped with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    content_type: String,
    authorization: String,
    protocol: String,
    body: Vec<u8>,
}

impl Server {
    pub(crate) fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (root, requests) = (root.to_owned(), Arc::new(AtomicUsize::new(0)));
        let counter = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let (root, manner) = (root.clone(), manner.clone());
                thread::spawn(move || serve(stream, &root, &manner));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Serves one request and closes.
fn serve(mut stream: TcpStream, root: &Path, manner: &Manner) -> Option<()> {
    let request = read(&stream)?;
    let pack = request.path.ends_with("/git-upload-pack");
    match manner {
        Manner::Basic(user, password) if request.authorization != basic(user, password) => {
            let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"";
            return answer(&mut stream, challenge, b"");
        }
        Manner::Answer(head) => return answer(&mut stream, head, b"no\n"),
        Manner::Silent => return wait(&stream),
        Manner::SilentOnPack if pack => return wait(&stream),
        _ => {}
    }
    let (head, mut body) = backend(root, &request)?;
    if matches!(manner, Manner::CutPack) && pack {
        let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        body.truncate(body.len() / 2);
        stream.write_all(head.as_bytes()).ok()?;
        return stream.write_all(&body).ok();
    }
    answer(&mut stream, &head, &body)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn answer(stream: &mut TcpStream, head: &str, body: &[u8]) -> Option<()> {
    let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// Holds the connection until the other side closes it.
fn wait(mut stream: &TcpStream) -> Option<()> {
    stream.read_to_end(&mut Vec::new()).ok().map(|_| ())
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query, content_type) = (path.to_owned(), query.to_owned(), String::new());
    let (authorization, protocol, body) = (String::new(), String::new(), Vec::new());
    let mut request = Request { method, path, query, content_type, authorization, protocol, body };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => request.content_type = value,
            "authorization" => request.authorization = value,
            "git-protocol" => request.protocol = value,
            "transfer-encoding" => panic!("chunked requests are not served"),
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Runs the CGI; returns the head without length, and the body.
fn backend(root: &Path, request: &Request) -> Option<(String, Vec<u8>)> {
    let mut child = Command::new(exec_path().join("git-http-backend"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", &request.protocol)
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", &request.content_type)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(&request.body).ok()?;
    let output = child.wait_with_output().ok()?.stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let fields: Vec<_> = head.lines().filter(|line| !line.starts_with("Status: ")).collect();
    Some((format!("HTTP/1.1 {status}\r\n{}", fields.join("\r\n")), output[end + 4..].to_vec()))
}

fn exec_path() -> PathBuf {
    let output = Command::new("git").arg("--exec-path").output().expect("git is installed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
