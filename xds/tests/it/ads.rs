//! A real Envoy on a session: delta and SotW, over a Unix socket.

mod agent;
mod proxy;
