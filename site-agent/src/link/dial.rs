//! One connection to the core: how it is made, and how it finds out that nobody is there any more.
//!
//! Asking is HTTP/2's PING, end to end: a probe of TCP would be answered by the boxes that split TCP on satellite
//! links. How often is the bundle's to say (`skerry_core::pace`).

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use skerry_core::pace::Pace;
use skerry_proto::limits::MAX_MESSAGE_BYTES;
use skerry_proto::tls::Connector;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use tonic::transport::{Channel, Endpoint, Uri};

use super::failure::explain;

/// How long a connection may take to come up, names and all: a satellite link needs 5 round trips of 0.7 s.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many bytes of chunks the core may send before they are taken, on a stream and on its connection: the default of
/// HTTP/2, so nothing is said of it (RFC 9113 §6.9.2). A link of 0.7 s round trip carries 90 kB/s with it.
const WINDOW: u32 = 65_535;

/// What requests say whom they are for. The connection says it already, and an address has some 20 bytes.
const ORIGIN: &str = "http://core";

/// The core, at the other end of a connection.
pub(super) type Client = SiteSyncClient<Channel>;

/// Connects; else says why not.
pub(super) async fn dial(core: &str, tls: &Arc<ClientConfig>, pace: Pace) -> Result<Client, String> {
    let connecting = async {
        let connector = Connector::new(Arc::clone(tls));
        let channel = endpoint(core, pace)?.connect_with_connector(connector).await;
        channel.map(client)
    };
    match tokio::time::timeout(DEADLINE, connecting).await {
        Ok(client) => client.map_err(|error| explain(&error)),
        Err(_) => Err(format!("no connection within {} s", DEADLINE.as_secs())),
    }
}

fn endpoint(core: &str, pace: Pace) -> Result<Endpoint, tonic::transport::Error> {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Ok(Endpoint::from_shared(core.to_owned())?
        .origin(Uri::from_static(ORIGIN))
        .http2_keep_alive_interval(seconds(pace.keepalive_seconds))
        .keep_alive_timeout(seconds(pace.keepalive_timeout_seconds))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW))
}

fn client(channel: Channel) -> Client {
    let client = SiteSyncClient::new(channel);
    client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[cfg(test)]
mod tests;
