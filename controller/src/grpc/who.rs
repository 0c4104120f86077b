//! Who is at the other end of a connection, and what they may ask.
//!
//! Told by certificate, once for each connection; that a site's box is still its box is asked of the roll each time. Must
//! not decide who is enrolled.

use std::net::SocketAddr;

use skerry_core::id::SiteId;
use skerry_identity::ca::Peer;
use skerry_identity::thumbprint::Thumbprint;

use super::failure::Failure;
use crate::identity::desk::Desk;
use crate::identity::operators::May;

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Nothing was shown: good for enrolment, and for nothing else.
    Stranger,
    /// The agent of a site, by the key that it showed.
    Agent(SiteId, Thumbprint),
    /// An operator, by name and by the key that they showed.
    Operator(String, Thumbprint),
}

impl Who {
    /// Takes a peer whose certificate holds.
    pub(super) fn of(peer: Peer, key: Thumbprint) -> Self {
        match peer {
            Peer::Agent(site) => Self::Agent(site, key),
            Peer::Operator(name) => Self::Operator(name, key),
            // The core asks itself nothing.
            Peer::Core => Self::Stranger,
        }
    }

    /// Says whether it may ask for what is at a path at all. The services look closer.
    pub(super) fn check_path(&self, path: &str) -> Result<(), Failure> {
        let is_of = |service: &str| path.starts_with(&format!("/skerry.sync.v1.{service}/"));
        match self {
            _ if is_of("Enrolment") => Ok(()),
            Self::Stranger => Err(Failure::Unknown),
            Self::Agent(site, _) if is_of("Fleet") => {
                Err(Failure::Forbidden(format!("the agent of site `{site}` may not ask about the fleet")))
            }
            Self::Operator(name, _) if is_of("SiteSync") => {
                Err(Failure::Forbidden(format!("operator `{name}` does not speak for sites")))
            }
            Self::Agent(..) | Self::Operator(..) => Ok(()),
        }
    }

    /// Says whether it may speak for a site: its agent alone, with the key that is enrolled.
    pub(super) fn check_site(
        &self,
        site: &SiteId,
        peer: Option<SocketAddr>,
        desk: &Desk,
    ) -> Result<(), Failure> {
        match self {
            Self::Agent(own, key) if own == site => desk.judge(site, *key).map_err(|stranger| {
                desk.note_stranger(site, *key, &stranger, peer);
                Failure::Forbidden(stranger.to_string())
            }),
            Self::Agent(own, _) => {
                Err(Failure::Forbidden(format!("the agent of site `{own}` does not speak for site `{site}`")))
            }
            Self::Operator(name, _) => {
                Err(Failure::Forbidden(format!("operator `{name}` does not speak for site `{site}`")))
            }
            Self::Stranger => Err(Failure::Unknown),
        }
    }

    /// Says whether it may do with the fleet what it wants: operators alone, with a key that was not taken back.
    pub(super) fn check_operator(&self, desk: &Desk, wants: May) -> Result<(&str, Thumbprint), Failure> {
        match self {
            Self::Operator(name, key) => match desk.judge_operator(name, *key) {
                Ok(may) if may >= wants => Ok((name, *key)),
                Ok(_) => Err(Failure::Forbidden(format!(
                    "these credentials of operator `{name}` are read-only: ask somebody who may change things, or have others made \
                     with `skerry operator create {name}`"
                ))),
                Err(error) => Err(Failure::Forbidden(error.to_string())),
            },
            Self::Agent(site, _) => {
                Err(Failure::Forbidden(format!("the agent of site `{site}` may not ask about the fleet")))
            }
            Self::Stranger => Err(Failure::Unknown),
        }
    }

    /// Says whether it may stay for as long as it likes.
    pub(super) fn is_good(&self, desk: &Desk) -> bool {
        match self {
            Self::Agent(site, key) => desk.judge(site, *key).is_ok(),
            Self::Operator(name, key) => desk.judge_operator(name, *key).is_ok(),
            Self::Stranger => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of who may ask what, by path, before anything is read.
    #[test]
    fn each_peer_finds_what_is_for_it() {
        let agent = Who::Agent(SiteId::new("oslo").unwrap(), Thumbprint::from_slice(&[1; 32]).unwrap());
        for (who, enrolment, site, fleet) in [
            (Who::Stranger, true, false, false),
            (agent, true, true, false),
            (Who::Operator("ada".to_owned(), Thumbprint::from_slice(&[2; 32]).unwrap()), true, false, true),
        ] {
            let may = |path: &str| who.check_path(path).is_ok();
            assert_eq!(may("/skerry.sync.v1.Enrolment/Renew"), enrolment, "{who:?}");
            assert_eq!(may("/skerry.sync.v1.SiteSync/Sync"), site, "{who:?}");
            assert_eq!(may("/skerry.sync.v1.Fleet/GetFleet"), fleet, "{who:?}");
            assert_eq!(may("/skerry.sync.v1.Fleetx/GetFleet"), who != Who::Stranger, "{who:?}");
        }
    }
}
