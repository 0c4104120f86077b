//! Sessions of TLS: a site that comes back names its own, and is looked at all the same.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use skerry_proto::v1::{Hello, PullRequest, RevokeSiteRequest};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::rig::core::TestCore;
use crate::rig::papers::channel_with;
use crate::rig::{shop, within};

/// Shakes hands, and reads on until the core has said which session may be gone on with.
async fn shake(core: &TestCore, config: &Arc<ClientConfig>) -> HandshakeKind {
    let stream = TcpStream::connect(core.address).await.expect("the core listens");
    let name = ServerName::from(core.address.ip());
    let mut stream =
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.expect("hands are shaken");
    // The first frame of HTTP/2 comes after it, or the end.
    let _ = within("a word", stream.read(&mut [0; 64])).await;
    stream.get_ref().1.handshake_kind().expect("hands are shaken")
}

async fn ask(core: &TestCore, config: &Arc<ClientConfig>, hello: Hello) -> Code {
    let mut sites = SiteSyncClient::new(channel_with(core.address, Arc::clone(config)));
    let request = PullRequest { hello: Some(hello), ..PullRequest::default() };
    within("an answer", sites.pull(request)).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_and_a_site_that_was_revoked_meanwhile_gets_nothing() {
    let (shop, core) = shop().await;
    let config = core.agent_config("s1");
    assert_eq!(shake(&core, &config).await, HandshakeKind::Full);
    for _ in 0..3 {
        assert_eq!(shake(&core, &config).await, HandshakeKind::Resumed);
    }
    assert_eq!(ask(&core, &config, shop.site.hello()).await, Code::Ok);

    core.fleet().revoke_site(RevokeSiteRequest { site: "s1".to_owned() }).await.expect("it is revoked");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(shake(&core, &config).await, HandshakeKind::Resumed, "TLS knows nothing of it");
    assert_eq!(ask(&core, &config, shop.site.hello()).await, Code::PermissionDenied);
    core.stop().await;
}
