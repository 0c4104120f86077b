//! Why a signature is not trusted: each reason in words of its own, with what would help.
//!
//! Must not decide. A key is named by its fingerprint, never by a name that it gave itself.

use std::fmt;

use super::time::shown;

/// Why a signed commit is not trusted. `Display` is one sentence about "the commit", for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// The signature is not one of this content by this key.
    BadSignature {
        /// The key.
        key: String,
    },
    /// The signature is good, and its key is nobody's who may sign.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// The key is revoked: by the list of signers, by the list of revoked keys, or (OpenPGP) by itself.
    Revoked {
        /// The key.
        key: String,
    },
    /// The key is not valid yet.
    NotYetValid {
        /// The key.
        key: String,
        /// From when it is: seconds since 1970.
        from: i64,
    },
    /// The key is not valid any more.
    Expired {
        /// The key.
        key: String,
        /// Until when it was: seconds since 1970.
        until: i64,
    },
    /// The signature itself was made for a limited time (OpenPGP).
    SignatureExpired {
        /// The key.
        key: String,
        /// Until when it was valid: seconds since 1970.
        until: i64,
    },
    /// The signature was made for something other than commits (SSH).
    WrongNamespace {
        /// What it was made for.
        namespace: String,
    },
    /// The key may be used for other things only (SSH).
    NamespaceNotAllowed {
        /// The key.
        key: String,
        /// What it may be used for.
        allowed: String,
    },
    /// The key is that of somebody else than the committer.
    WrongPrincipal {
        /// The key.
        key: String,
        /// Whose it is: patterns.
        principals: String,
        /// The committer.
        committer: String,
    },
    /// The key is not one that may sign (OpenPGP): it is for encryption, or not bound to its owner.
    NotForSigning {
        /// The key.
        key: String,
    },
    /// The commit names no committer with whom the signer can be compared.
    NoCommitter,
    /// An algorithm with which signatures can be forged.
    Weak {
        /// Which.
        what: String,
    },
    /// A kind of signature that is not supported.
    Unsupported {
        /// Which.
        what: String,
    },
    /// The signature is not one.
    Malformed {
        /// Why.
        reason: String,
    },
    /// The commit or its signature is larger than any real one.
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// It cannot be told which keys are revoked.
    RevocationsUnknown {
        /// The file that cannot be read in full.
        file: String,
    },
}

impl fmt::Display for Distrust {
    #[expect(clippy::too_many_lines, reason = "a table: one sentence for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSignature { key } => {
                write!(f, "the signature by {key} does not fit the commit: one of them was altered")
            }
            Self::UnknownKey { key } => {
                write!(f, "the commit is signed by {key}, which is no allowed signer's")
            }
            Self::Revoked { key } => write!(f, "the commit is signed by {key}, which is revoked"),
            Self::NotYetValid { key, from } => {
                write!(f, "the commit is signed by {key}, which is not valid before {}", shown(*from))
            }
            Self::Expired { key, until } => {
                write!(f, "the commit is signed by {key}, which was valid until {}", shown(*until))
            }
            Self::SignatureExpired { key, until } => {
                write!(f, "the signature by {key} was made to be valid until {}", shown(*until))
            }
            Self::WrongNamespace { namespace } => {
                write!(f, "the signature was made for the namespace `{namespace}`, and commits have `git`")
            }
            Self::NamespaceNotAllowed { key, allowed } => {
                write!(f, "the commit is signed by {key}, which may sign for `{allowed}` only, not for `git`")
            }
            Self::WrongPrincipal { key, principals, committer } => {
                write!(f, "the commit is signed by {key} of {principals}, but its committer is {committer}")
            }
            Self::NotForSigning { key } => {
                write!(f, "the commit is signed by {key}, which is not a key for signing")
            }
            Self::NoCommitter => {
                f.write_str("the commit is signed, but names no committer with an e-mail address to compare")
            }
            Self::Weak { what } => {
                write!(f, "the signature uses {what}, with which signatures can be forged")
            }
            Self::Unsupported { what } => write!(f, "the commit has {what}, which is not supported"),
            Self::Malformed { reason } => write!(f, "the signature of the commit cannot be read: {reason}"),
            Self::TooLarge { limit } => {
                write!(f, "the commit or its signature has more than {limit} bytes, so it is not checked")
            }
            Self::RevocationsUnknown { file } => {
                write!(
                    f,
                    "the commit is signed, but which keys are revoked cannot be told: `{file}` cannot be used"
                )
            }
        }
    }
}

impl Distrust {
    /// Says what would help, in one sentence.
    pub fn help(&self) -> String {
        let first = match self {
            Self::UnknownKey { .. } => {
                "if its owner may sign, add the key to `spec.verify` of the PolicySource"
            }
            Self::NotYetValid { .. } | Self::Expired { .. } => {
                "if its owner may still sign, renew the key or its times in `spec.verify` of the PolicySource"
            }
            Self::NamespaceNotAllowed { .. } => {
                "if its owner may sign commits, add `git` to the namespaces of the key"
            }
            Self::WrongPrincipal { .. } => {
                "let committers use the address that their key is listed with, or add theirs to the principals of the key"
            }
            Self::Revoked { .. } => "find out who used the key",
            Self::BadSignature { .. } | Self::Malformed { .. } | Self::TooLarge { .. } => {
                "find out how it came into the repository"
            }
            Self::SignatureExpired { .. } => "leave `default-sig-expire` out of gpg.conf",
            Self::WrongNamespace { .. } | Self::NoCommitter => {
                "let Git itself make the signature (`git commit -S`)"
            }
            Self::NotForSigning { .. } => {
                "sign with a key that may sign, and give the public key with all its subkeys"
            }
            Self::Weak { .. } => {
                "sign with an Ed25519 key, or with RSA of 2,048 bits or more and SHA-256 or SHA-512"
            }
            Self::Unsupported { .. } => "sign with a plain SSH key (`gpg.format=ssh`) or with OpenPGP",
            Self::RevocationsUnknown { .. } => {
                return "mend the file named in `spec.verify.revokedKeysFile`, one SSH public key on each line".to_owned();
            }
        };
        format!("{first}; or {ON_TOP}")
    }
}

/// What always helps: the commit at the head is the one that is checked.
pub(super) const ON_TOP: &str = "push a commit on top that an allowed signer has signed";
