//! `PolicySource` documents → where the policies of a fleet are followed from, in plain types.
//!
//! Says what to follow; fetching is `gitops`' part.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use skerry_core::diagnostic::{Code, Diagnostic};
use skerry_core::document::Document;
use skerry_core::id::NamespacedName;

use crate::api;
use crate::api::policy_source::PolicySourceSpec;
use crate::decode::metadata::Name;
use crate::decode::{duration, metadata, spec};
use crate::findings::{Findings, below};
use crate::shape::Shape;

mod verify;

pub use crate::api::policy_source::VerifyMode;
pub use verify::{Signer, SignerKey, Verify};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::policy_source::PolicySource>);

/// What is followed when nothing is named.
const DEFAULT_BRANCH: &str = "main";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The shortest interval and timeout: milliseconds.
const LEAST_MS: u32 = 1_000;

/// A Git repository that holds the policies of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// Namespace and name of the object.
    pub name: NamespacedName,
    /// `https://`, `http://`, `ssh://` or `file://`, the form `user@host:path`, or an absolute path. Holds
    /// no password.
    pub url: String,
    /// What is followed.
    pub reference: Reference,
    /// The folder that is read: relative, with `/` between parts, without `.` and `..`; `.` is the root.
    pub path: String,
    /// How often it is asked for news, at least 1 s; jitter is for the caller to add.
    pub interval: Duration,
    /// How long one fetch may take, at least 1 s.
    pub timeout: Duration,
    /// It is not followed for now; what runs goes on.
    pub suspend: bool,
    /// How to log in.
    pub credentials: Credentials,
    /// File with the shared secret of the webhook, if there is one.
    pub webhook_secret_file: Option<PathBuf>,
    /// Whose signatures commits must have; `None`: nobody looks at signatures.
    pub verify: Option<Verify>,
}

/// What of a repository is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// One commit, 40 lower-case hex digits.
    Commit(String),
}

/// How to log in to a Git host: files that are read anew at each fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name for http(s); given together with `password_file`.
    pub username_file: Option<PathBuf>,
    /// Password or token for http(s).
    pub password_file: Option<PathBuf>,
    /// Private key for ssh.
    pub ssh_key_file: Option<PathBuf>,
    /// Passphrase of the key.
    pub ssh_passphrase_file: Option<PathBuf>,
    /// Host keys that are trusted (`known_hosts`).
    pub ssh_known_hosts_file: Option<PathBuf>,
}

/// Reads one policy source.
///
/// Errors: another kind, or a field that is missing, unknown or out of bounds; each with its place.
pub fn decode_policy_source(document: &Document) -> Result<PolicySource, Vec<Diagnostic>> {
    let mut findings = Findings::new(document);
    let source = convert(&mut findings);
    match source {
        Some(source) if findings.errors() == 0 => Ok(source),
        _ => Err(findings.into_diagnostics()),
    }
}

fn convert(findings: &mut Findings<'_>) -> Option<PolicySource> {
    let is =
        |pointer: &str, expected: &str| findings.value(pointer).and_then(Value::as_str) == Some(expected);
    if !is("/kind", "PolicySource") || !is("/apiVersion", &format!("{}/{}", api::GROUP, api::VERSION)) {
        let help = format!("write apiVersion: {}/{} and kind: PolicySource", api::GROUP, api::VERSION);
        findings.error(Code::UnknownValue, "/kind", "the document is not a PolicySource", help);
        return None;
    }
    spec::check_envelope(findings);
    let name = metadata::read_name(false, findings);
    let spec: PolicySourceSpec = spec::read(&SHAPE, findings)?;
    check_url(&spec.url, findings);
    let reference = reference(&spec.reference.unwrap_or_default(), findings);
    let path = folder(spec.path.as_deref().unwrap_or("."), findings);
    let interval = time(spec.interval.as_ref(), DEFAULT_INTERVAL, "/spec/interval", findings);
    let timeout = time(spec.timeout.as_ref(), DEFAULT_TIMEOUT, "/spec/timeout", findings);
    let credentials = credentials(spec.credentials.unwrap_or_default(), findings);
    let verify = spec.verify.map(|verify| verify::convert(verify, findings));
    let Name { namespace, name } = name?;
    Some(PolicySource {
        name: NamespacedName::new(namespace, name),
        url: spec.url,
        reference: reference?,
        path: path?,
        interval: interval?,
        timeout: timeout?,
        suspend: spec.suspend.unwrap_or_default(),
        credentials,
        webhook_secret_file: spec.webhook.map(|webhook| webhook.secret_file.into()),
        verify,
    })
}

fn time(
    given: Option<&api::duration::Duration>,
    default: Duration,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Duration> {
    let Some(given) = given else { return Some(default) };
    let milliseconds = duration::milliseconds(&given.0, LEAST_MS, pointer, findings)?;
    Some(Duration::from_millis(u64::from(milliseconds)))
}

fn check_url(url: &str, findings: &mut Findings<'_>) {
    if let Some(problem) = url_problem(url) {
        let help =
            "write https://host/path, ssh://host/path, user@host:path, file:///path or an absolute path";
        findings.error(Code::InvalidValue, "/spec/url", problem, help);
    } else if has_password(url) {
        let help = "put user name and password into files and name them in `spec.credentials`";
        findings.error(Code::InvalidValue, "/spec/url", "the URL holds a password", help);
    }
}

fn url_problem(url: &str) -> Option<&'static str> {
    if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Some("the URL holds a blank");
    }
    if url.starts_with('/') {
        return None;
    }
    match url.split_once("://") {
        Some(("file", path)) => (!path.starts_with('/')).then_some("a file URL needs an absolute path"),
        Some(("http" | "https" | "ssh", rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            (host.is_empty() || host.starts_with(':')).then_some("the URL has no host")
        }
        Some(_) => Some("the scheme of the URL is not supported"),
        None => match url.split_once(':') {
            Some((host, path)) if !host.is_empty() && !host.contains('/') && !path.is_empty() => None,
            _ => Some("the URL is neither an address nor an absolute path"),
        },
    }
}

fn has_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn reference(given: &api::policy_source::Reference, findings: &mut Findings<'_>) -> Option<Reference> {
    let pointer = "/spec/ref";
    match (&given.branch, &given.tag, &given.commit) {
        (None, None, None) => Some(Reference::Branch(DEFAULT_BRANCH.to_owned())),
        (Some(branch), None, None) => {
            ref_name(branch, &below(pointer, "branch"), findings).map(Reference::Branch)
        }
        (None, Some(tag), None) => ref_name(tag, &below(pointer, "tag"), findings).map(Reference::Tag),
        (None, None, Some(commit)) => {
            commit_hash(commit, &below(pointer, "commit"), findings).map(Reference::Commit)
        }
        _ => {
            let message = "more than one of branch, tag and commit";
            findings.error(Code::InvalidValue, pointer, message, "give one of them");
            None
        }
    }
}

/// The rules of `git check-ref-format` that keep a name from being read as something else.
fn ref_name(name: &str, pointer: &str, findings: &mut Findings<'_>) -> Option<String> {
    let is_bad = name.chars().any(|character| character.is_control() || " ~^:?*[\\".contains(character))
        || name.contains("..")
        || name.contains("@{")
        || name.contains("//")
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock");
    if is_bad {
        let help = "write the short name, such as main or release/1.2 (git check-ref-format)";
        findings.error(
            Code::InvalidValue,
            pointer,
            format!("`{name}` is not the name of a branch or tag"),
            help,
        );
    }
    (!is_bad).then(|| name.to_owned())
}

fn commit_hash(commit: &str, pointer: &str, findings: &mut Findings<'_>) -> Option<String> {
    let is_hash = commit.len() == 40 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        let message = format!("`{commit}` is not a commit");
        findings.error(Code::InvalidValue, pointer, message, "give all 40 hex digits in lower case");
    }
    is_hash.then(|| commit.to_owned())
}

fn folder(path: &str, findings: &mut Findings<'_>) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') || path.contains(['\\', '\0']) || parts.contains(&"..") {
        let message = format!("`{path}` is not a folder below the repository's root");
        findings.error(Code::InvalidValue, "/spec/path", message, "write it as policies/prod, without `..`");
        return None;
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn credentials(given: api::policy_source::Credentials, findings: &mut Findings<'_>) -> Credentials {
    let pointer = "/spec/credentials";
    if given.username_file.is_some() != given.password_file.is_some() {
        let message = "usernameFile and passwordFile go together";
        findings.error(
            Code::InvalidValue,
            pointer,
            message,
            "give both; most hosts take any user name with a token",
        );
    }
    if given.ssh_passphrase_file.is_some() && given.ssh_key_file.is_none() {
        let message = "there is a passphrase but no key";
        findings.error(
            Code::InvalidValue,
            &below(pointer, "sshPassphraseFile"),
            message,
            "give `sshKeyFile`",
        );
    }
    Credentials {
        username_file: given.username_file.map(PathBuf::from),
        password_file: given.password_file.map(PathBuf::from),
        ssh_key_file: given.ssh_key_file.map(PathBuf::from),
        ssh_passphrase_file: given.ssh_passphrase_file.map(PathBuf::from),
        ssh_known_hosts_file: given.ssh_known_hosts_file.map(PathBuf::from),
    }
}
