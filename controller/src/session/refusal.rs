//! Why the core does not talk to an agent. The text goes to the agent and into its log.

use skerry_core::bundle::SCHEMA;
use skerry_proto::limits::{MAX_WANTS, OLDEST_PROTOCOL, PROTOCOL};

/// A message that ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The agent is too old to be understood.
    #[error(
        "the agent speaks protocol {protocol}, and this core {OLDEST_PROTOCOL} to {PROTOCOL}: upgrade the agent"
    )]
    OldProtocol {
        /// What it speaks.
        protocol: u32,
    },
    /// The agent is too old for the bundles of this core.
    #[error(
        "the agent lowers bundles up to schema {schema}, and this core makes schema {SCHEMA}: upgrade the agent"
    )]
    OldSchema {
        /// What it lowers.
        schema: u32,
    },
    /// A field that is not what it has to be.
    #[error("the message is malformed: {0}")]
    Malformed(String),
    /// More fragments than a bundle has.
    #[error("{wants} fragments were asked for at once, and a bundle has at most {MAX_WANTS}")]
    TooManyWants {
        /// How many.
        wants: usize,
    },
}
