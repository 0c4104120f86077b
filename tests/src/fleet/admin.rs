//! What an Envoy says of itself at its admin socket.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde_json::Value;

use crate::http::Request;

/// A certificate that an Envoy has loaded to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The serial number.
    pub serial: String,
    /// From when it is in force: seconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Loaded {
    /// Asks the Envoy in a proxy's folder, the first of its launcher. Several while connections are open that began with older ones.
    pub async fn ask(proxy: &Path) -> Result<Vec<Self>> {
        let reply = Request::get("/certs").send_to_socket(&proxy.join("admin.0.sock")).await?;
        let answer: Value = reply.json()?;
        let certificates = answer["certificates"].as_array().into_iter().flatten();
        // The leaf comes first; its authority follows.
        let leaves = certificates.filter_map(|certificate| certificate["cert_chain"].get(0));
        leaves.map(Self::read).collect()
    }

    fn read(leaf: &Value) -> Result<Self> {
        let text =
            |name| leaf[name].as_str().with_context(|| format!("a certificate without {name}: {leaf}"));
        let time = |name| Ok::<_, anyhow::Error>(text(name)?.parse::<Timestamp>()?.as_second());
        Ok(Self {
            serial: text("serial_number")?.to_owned(),
            from: time("valid_from")?,
            until: time("expiration_time")?,
        })
    }

    /// Asks for the one that ends last, which is the newest.
    pub async fn newest(proxy: &Path) -> Result<Self> {
        let mut all = Self::ask(proxy).await?;
        all.sort_by_key(|loaded| loaded.until);
        all.pop().ok_or_else(|| anyhow!("it has no certificate"))
    }
}
