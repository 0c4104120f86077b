//! The xDS session against scripted clients: one case for each thing that a client may do, as a
//! transcript. And against a model of Envoy that does anything in any order.

mod delta;
mod model;
mod pile;
mod proxy;
mod sotw;
mod transcript;
mod wire;
