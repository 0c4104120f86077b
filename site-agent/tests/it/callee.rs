//! A server of the test's own in the place of a proxy: proves to be whoever it is told to be, and answers everything.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Proof;

/// A running server; it goes with the process.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Callee {
    /// Starts one on a free port.
    pub(crate) fn start(proof: &Proof) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(Mutex::new(to_config(proof)));
        let current = Arc::clone(&config);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&current.lock().unwrap());
                std::thread::spawn(move || answer(stream, config));
            }
        });
        Self { address, config }
    }

    /// Proves to be another one from the next connection on.
    pub(crate) fn become_another(&self, proof: &Proof) {
        *self.config.lock().unwrap() = to_config(proof);
    }
}

fn to_config(proof: &Proof) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(proof.key.to_pkcs8().unwrap().to_vec()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(proof.chain.clone(), key);
    Arc::new(config.unwrap())
}

/// One answer for each connection: the next request comes with another.
fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let length = stream.read(&mut some).ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&some[..length]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\none").ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
