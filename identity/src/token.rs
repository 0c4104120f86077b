//! Join tokens: what an operator carries to a site, once, so that its agent may enrol.
//!
//! The text is `skerry-join.v1.` and base64url. It names site and mesh, pins the core's transport authority, and holds a
//! secret of 32 random bytes, of which the core keeps a hash. Whether it still counts is for the core to say
//! ([`TokenRecord::judge`]). Must not be printed: there is no `Display`, and `Debug` leaves the secret out.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use skerry_core::id::{SiteId, Timestamp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::{ProviderFailed, random};
use crate::spiffe_id::MeshDomain;
use crate::thumbprint::{Thumbprint, sha256};

pub use record::{Claim, TokenHash, TokenRecord, TokenRefusal, Use};

mod record;

const PREFIX: &str = "skerry-join.";
const VERSION: &str = "v1.";
const CHECKSUM: usize = 4;

/// How long a token lasts if nobody says otherwise: a day, for whoever drives to the site.
pub const DEFAULT_LIFE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The longest address of a core in a token, `https://` and a DNS name with a port.
pub const MAX_CORE_BYTES: usize = 255;

/// The longest token: 3 × 255 B of names and address and 90 B more, in base64. What is longer is not one.
pub const MAX_TOKEN_BYTES: usize = 2 << 10;

/// The secret of a token. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// Draws a secret.
    pub fn generate() -> Result<Self, ProviderFailed> {
        random().map(Self)
    }

    /// Takes what came over the wire; nothing if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }

    /// Returns the bytes, to be sent to the core that the token pins, and nowhere else.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// A join token.
#[derive(Debug, Clone)]
pub struct JoinToken {
    /// The site that may enrol with it.
    pub site: SiteId,
    /// The mesh.
    pub mesh: MeshDomain,
    /// Where the core is, if the token says so.
    pub core: Option<String>,
    /// The key of the core's transport authority.
    pub pin: Thumbprint,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends. For a message to people at the site; the core decides by its own record and clock.
    pub expires: Timestamp,
    /// The secret.
    pub secret: TokenSecret,
}

/// Why a text is not a join token. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is something else.
    #[error("this is not a join token: one begins with `{PREFIX}` (make it with `skerry site enroll SITE`)")]
    NotAToken,
    /// It is of a version that is not known here.
    #[error("this join token is of a later version than this agent knows: upgrade the agent")]
    UnknownVersion,
    /// It was cut, or a character was changed.
    #[error("this join token is not whole: copy it again, from `{PREFIX}` to its end")]
    Damaged,
}

impl JoinToken {
    /// Writes the text; wiped when dropped. Nothing if the address of the core is longer than [`MAX_CORE_BYTES`].
    pub fn to_text(&self) -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TOKEN_BYTES));
        bytes.extend_from_slice(&self.issued.0.to_be_bytes());
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        bytes.extend_from_slice(&self.secret.0);
        bytes.extend_from_slice(self.pin.as_bytes());
        for text in [self.site.as_str(), self.mesh.as_str(), self.core.as_deref().unwrap_or_default()] {
            bytes.push(u8::try_from(text.len()).ok()?);
            bytes.extend_from_slice(text.as_bytes());
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN_BYTES));
        text.push_str(PREFIX);
        text.push_str(VERSION);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        Some(text)
    }
}

/// The time at which an agent enrols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolTime {
    /// What the clock shows, which can be.
    Clock(Timestamp),
    /// What the token says, since the clock cannot be right.
    Suspect(Timestamp),
}

impl EnrolTime {
    /// Returns the time.
    pub fn now(self) -> Timestamp {
        match self {
            Self::Clock(now) | Self::Suspect(now) => now,
        }
    }
}

impl JoinToken {
    /// Says by which time an agent verifies the core while it enrols: by its clock, unless that shows a time before the token
    /// was made or after its end. So a box that boots in 1970 or in 2038 enrols, and knows that its clock is suspect.
    pub fn time(&self, clock: Timestamp) -> EnrolTime {
        if (self.issued..=self.expires).contains(&clock) {
            EnrolTime::Clock(clock)
        } else {
            EnrolTime::Suspect(self.issued)
        }
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    /// Reads a token; space around it does not count.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(InvalidToken::NotAToken)?;
        let Some(body) = rest.strip_prefix(VERSION) else {
            let is_later = rest.split_once('.').is_some_and(|(version, _)| version.starts_with('v'));
            return Err(if is_later { InvalidToken::UnknownVersion } else { InvalidToken::Damaged });
        };
        if body.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken::Damaged);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidToken::Damaged)?);
        read(&bytes).ok_or(InvalidToken::Damaged)
    }
}

/// Tells a token that was cut or mistyped from one that is refused: 4 bytes of SHA-256.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, ..] = sha256(&[PREFIX.as_bytes(), VERSION.as_bytes(), bytes]);
    [a, b, c, d]
}

fn read(bytes: &[u8]) -> Option<JoinToken> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    if checksum(bytes) != *sum {
        return None;
    }
    let (issued, rest) = bytes.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (secret, rest) = rest.split_first_chunk::<32>()?;
    let (pin, rest) = rest.split_first_chunk::<32>()?;
    let (site, rest) = text(rest)?;
    let (mesh, rest) = text(rest)?;
    let (core, rest) = text(rest)?;
    Some(JoinToken {
        site: SiteId::new(site).ok()?,
        mesh: MeshDomain::new(mesh).ok()?,
        core: Some(core).filter(|core| !core.is_empty()).map(str::to_owned),
        pin: Thumbprint::from_slice(pin).ok()?,
        issued: Timestamp(u64::from_be_bytes(*issued)),
        expires: Timestamp(u64::from_be_bytes(*expires)),
        secret: TokenSecret(*secret),
    })
    .filter(|_| rest.is_empty())
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked((*length).into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests;
