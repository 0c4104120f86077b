//! A real Envoy on a session: delta and SotW, over a Unix socket.

pub(crate) mod agent;
mod proxy;
