//! Connecting to a Unix socket at once or not at all. A plain `connect` waits for as long as the
//! listener's queue is full, and a stopped process never empties it.

use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with,
};

/// Connects; the stream then blocks as usual.
pub(super) fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect_to(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listener_that_takes_nobody_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ads.sock");
        assert!(connect(&path).is_err());

        let _listener = UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        let full = (0..100_000).find_map(|_| connect(&path).map(|stream| waiting.push(stream)).err());
        assert_eq!(full.unwrap().kind(), std::io::ErrorKind::WouldBlock);
    }
}
