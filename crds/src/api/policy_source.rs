//! `PolicySource`: a Git repository that holds the policies of a fleet.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::status::Status;

/// A Git repository of policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "PolicySource",
    plural = "policysources",
    shortname = "ps",
    category = "skerry",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    doc = "A Git repository that holds the policies of a fleet.",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PolicySourceSpec {
    /// Where it is: `https://`, `http://`, `ssh://` or `file://`, the form `git@host:path`, or an absolute
    /// path. Secrets do not belong in it.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// What is followed; left out, branch `main`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The folder below the repository's root that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("default" = "."))]
    pub path: Option<String>,
    /// How often it is asked for news, at least `1s`; each wait is spread by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("at least 1s"))]
    pub interval: Option<Duration>,
    /// How long one fetch may take, at least `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "60s"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("at least 1s"))]
    pub timeout: Option<Duration>,
    /// Stops following it; what runs goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub suspend: Option<bool>,
    /// How to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// A webhook of the Git host that asks for news at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Whose signatures its commits must have; left out, nobody looks at signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
}

/// What is followed: at most one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.branch), has(self.tag), has(self.commit)].filter(given, given).size() <= 1")
    .message("give at most one of branch, tag and commit"))]
pub struct Reference {
    /// A branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub tag: Option<String>,
    /// A commit, 40 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{40}$"))]
    pub commit: Option<String>,
}

/// How to log in: paths of files on the controller's host, read anew at each fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.usernameFile) == has(self.passwordFile)")
        .message("usernameFile and passwordFile go together"),
    validation = Rule::new("!has(self.sshPassphraseFile) || has(self.sshKeyFile)")
        .message("sshPassphraseFile needs sshKeyFile")
)]
pub struct Credentials {
    /// User name for http(s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub username_file: Option<String>,
    /// Password or token for http(s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub password_file: Option<String>,
    /// Private key for ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ssh_key_file: Option<String>,
    /// Passphrase of the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ssh_passphrase_file: Option<String>,
    /// Host keys that are trusted, in OpenSSH's `known_hosts` form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ssh_known_hosts_file: Option<String>,
}

/// A webhook of the Git host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Path of the file with the shared secret of the HMAC-SHA256 signature.
    #[schemars(length(min = 1, max = 4096))]
    pub secret_file: String,
}

/// Whose signatures commits must have. The commit at the head is the one that is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.allowedSignersFile) || (has(self.signers) && self.signers.size() > 0)")
    .message("name signers or an allowedSignersFile"))]
pub struct Verify {
    /// `Enforce`: a head that is not signed by an allowed signer is held, whoever confirms it, and what is in force
    /// stays. `Audit`: it is taken, and what was found about its signature is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Enforce"))]
    pub mode: Option<VerifyMode>,
    /// Who may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub signers: Option<Vec<Signer>>,
    /// A file with more signers in the form of OpenSSH's `allowed_signers` (ssh-keygen(1)), read anew at each poll. A
    /// relative path is below the folder of this file. Certificate authorities are not supported; times are UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub allowed_signers_file: Option<String>,
    /// A file with SSH public keys that are not trusted any more, one on each line, read anew at each poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub revoked_keys_file: Option<String>,
}

/// What comes of a head that is not signed by an allowed signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "described where the field is, since a schema lists values without descriptions"
)]
pub enum VerifyMode {
    Enforce,
    Audit,
}

/// Somebody who may sign: one key, by one of `sshKey`, `openPGPKey` and `openPGPKeyFile`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.sshKey), has(self.openPGPKey), has(self.openPGPKeyFile)].filter(given, given).size() == 1")
        .message("give exactly one of sshKey, openPGPKey and openPGPKeyFile"),
    validation = Rule::new("!has(self.namespaces) || has(self.sshKey)").message("only an sshKey has namespaces")
)]
pub struct Signer {
    /// Committers' e-mail addresses with which the key may be used, in the case in which they are written: `*` is any
    /// run of characters, `?` any one, and `!` before a pattern excludes what it matches.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 254)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub principals: Vec<String>,
    /// An SSH public key: a line of a `.pub` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ssh_key: Option<String>,
    /// OpenPGP public keys, armored.
    #[serde(rename = "openPGPKey", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub openpgp_key: Option<String>,
    /// A file with them, read anew at each poll. A relative path is below the folder of this file.
    #[serde(rename = "openPGPKeyFile", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub openpgp_key_file: Option<String>,
    /// What an SSH key may sign, as patterns; left out, anything. Commits are `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 254)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub namespaces: Option<Vec<String>>,
    /// From when on the key is trusted, as `2026-01-31T12:00:00Z` (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub valid_after: Option<String>,
    /// Until when the key is trusted, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub valid_before: Option<String>,
    /// The key is not trusted any more, also where it is listed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub revoked: Option<bool>,
}
