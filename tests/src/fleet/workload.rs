//! A builder for `Workload` files, the local facts of a site.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

/// The port that every workload of a run listens on; addresses tell them apart.
const PORT: u16 = 9080;
/// The inbound port of every sidecar; each is on its workload's address.
const INBOUND_PORT: u16 = 15_006;

/// The Envoy of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// Where virtual addresses of services are taken from, as a CIDR.
    pub outbound: String,
}

/// A local process of a site.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    labels: Vec<(String, String)>,
    address: Ipv4Addr,
    ports: Vec<(String, u16)>,
    sidecar: Option<Sidecar>,
}

impl Workload {
    /// Starts a workload at an address, with one HTTP port, 9080.
    pub fn new(namespace: &str, name: &str, address: Ipv4Addr) -> Self {
        let ports = vec![("http".to_owned(), PORT)];
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self { namespace, name, labels: Vec::new(), address, ports, sidecar: None }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Names other ports than the one; an empty name is none.
    #[must_use]
    pub fn ports(mut self, ports: &[(&str, u16)]) -> Self {
        self.ports = ports.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
        self
    }

    /// Gives it a sidecar with virtual addresses from this CIDR.
    #[must_use]
    pub fn sidecar(mut self, outbound: &str) -> Self {
        self.sidecar = Some(Sidecar { outbound: outbound.to_owned() });
        self
    }

    /// Where it listens, on its first port.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.ports.first().map_or(PORT, |(_, port)| *port)))
    }

    /// Where its sidecar listens for it, if it has one.
    pub fn inbound(&self) -> Option<SocketAddr> {
        self.sidecar.as_ref().map(|_| SocketAddr::from((self.address, INBOUND_PORT)))
    }

    /// The virtual address that its sidecar gives to a service: by the service's index in the CIDR. The
    /// first address is the sidecar's own, so index 1 has the one after it.
    pub fn virtual_address(&self, index: u8) -> Option<Ipv4Addr> {
        let (network, _) = self.sidecar.as_ref()?.outbound.split_once('/')?;
        let network: Ipv4Addr = network.parse().ok()?;
        Some(Ipv4Addr::from(u32::from(network) + 1 + u32::from(index)))
    }

    /// Its file. JSON is YAML, so the agent reads it as it is.
    pub fn to_file(&self) -> String {
        let labels: serde_json::Map<_, _> =
            self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let ports: Vec<_> = self.ports.iter().map(|(name, port)| to_port(name, *port)).collect();
        let mut object = json!({
            "apiVersion": "skerry.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": labels},
            "spec": {"serviceAccount": self.name, "address": self.address.to_string(), "ports": ports},
        });
        if let Some(sidecar) = &self.sidecar {
            object["spec"]["proxy"] =
                json!({"role": "Sidecar", "outboundCIDR": sidecar.outbound, "inboundPort": INBOUND_PORT});
        }
        format!("{object:#}\n")
    }
}

fn to_port(name: &str, port: u16) -> serde_json::Value {
    if name.is_empty() { json!({"port": port}) } else { json!({"name": name, "port": port}) }
}
