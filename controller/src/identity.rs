//! Who is who: the core's authorities, the boxes that are enrolled, and what they are given.
//!
//! `authority` holds the keys and signs, `roll` decides who is a site's box, `desk` acts: it keeps what was decided, in
//! `store`, before anything is signed or said. Must not know of gRPC or TLS.

pub mod astray;
pub mod authority;
pub mod credentials;
pub mod desk;
pub mod offline;
pub mod operators;
pub mod roll;
pub mod rotation;
pub mod seal;
pub mod standing;
pub mod store;
pub mod time;
