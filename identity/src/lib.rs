//! Skerry's identity: names, keys, certificates, and who vouches for what.
//!
//! Everything here is a function of values: no clock, no files, no network, no environment. Randomness is drawn only
//! where a key, a secret, a nonce or a serial number is made, from the one crypto provider (aws-lc-rs). Secrets are
//! wiped when they are dropped and are never printed.

pub mod ca;
pub mod ceremony;
pub mod certificate;
pub mod csr;
pub mod envelope;
pub mod key;
pub mod lifetimes;
pub mod malformed;
pub mod operator;
mod pem;
pub mod policy;
pub mod sealed;
mod signed;
pub mod spiffe_id;
pub mod thumbprint;
pub mod token;
pub mod trust_bundle;
pub mod trust_root;
pub mod verify;

#[cfg(test)]
mod fixture;
