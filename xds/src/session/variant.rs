//! What delta and SotW have in common: a request is an ask, a response is an answer.

use std::collections::BTreeMap;

use super::feed::Batch;
use crate::bootstrap::{AdsMode, NodeId};
use crate::envoy::core;

/// One of the two forms of ADS. Implemented by [`Delta`](super::Delta) and [`Sotw`](super::Sotw) alone.
pub trait Variant: private::Sealed {
    /// What the client sends.
    type Request;
    /// What the client is sent.
    type Response;
    /// How the proxy's start file names it.
    const MODE: AdsMode;

    #[doc(hidden)]
    fn to_ask(request: Self::Request) -> Ask;
    #[doc(hidden)]
    fn to_response(answer: Answer) -> Self::Response;
}

pub(super) mod private {
    pub trait Sealed {}
}

/// A request.
#[derive(Debug)]
pub struct Ask {
    pub(super) node: Option<NodeId>,
    pub(super) type_url: String,
    /// The nonce of the response that this is about; empty in the first request of a type.
    pub(super) nonce: String,
    /// Why the client refuses that response.
    pub(super) error: Option<String>,
    pub(super) change: Change,
}

/// What a request says about the client's interest.
#[derive(Debug)]
pub(super) enum Change {
    /// What is different now.
    Delta {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        /// What the client kept from an earlier stream; in the first request alone.
        initial: BTreeMap<String, String>,
    },
    /// All of it, and the version of all that the client has.
    Whole { names: Vec<String>, version: String },
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub(super) type_url: String,
    pub(super) nonce: String,
    pub(super) system_version: String,
    pub(super) batch: Batch,
}

/// Reads who the client is; an id that is empty is none.
pub(super) fn to_node_id(node: Option<core::Node>) -> Option<NodeId> {
    let node = node.filter(|node| !node.id.is_empty())?;
    Some(NodeId { id: node.id, cluster: node.cluster })
}
