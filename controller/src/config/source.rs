//! A `PolicySource` file → what is followed.

use std::path::{Path, PathBuf};

use skerry_core::diagnostic::{Code, Diagnostic, Location, has_errors};
use skerry_core::document::Document;
use skerry_crds::policy_source::{Credentials, PolicySource, Reference as Named};
use skerry_crds::{decode_policy_source, parse};
use skerry_gitops::provenance::signers::Loaded;
use skerry_gitops::reference::Reference;
use skerry_gitops::remote::Remote;

use crate::source::config::{Login, Mode, SourceConfig};

/// Reads a file with one `PolicySource`. Relative paths in it are below the file's folder.
pub(super) fn resolve(path: &Path, bytes: &[u8]) -> Result<SourceConfig, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let parsed = parse(&name, bytes);
    if has_errors(&parsed.diagnostics) {
        return Err(parsed.diagnostics);
    }
    let [document] = parsed.documents.as_slice() else {
        let message = format!("the file has {} documents, and one is needed", parsed.documents.len());
        let error = Diagnostic::error(Code::InvalidValue, Location::file(name), message);
        return Err(vec![error.help("put one PolicySource into the file; a core follows one repository")]);
    };
    let source = decode_policy_source(document)?;
    convert(source, document, path.parent().unwrap_or(Path::new("")))
}

fn convert(
    source: PolicySource,
    document: &Document,
    folder: &Path,
) -> Result<SourceConfig, Vec<Diagnostic>> {
    let invalid = |pointer: &str, message: String, help: &str| {
        let field = skerry_core::document::field_path(pointer);
        vec![Diagnostic::error(Code::InvalidValue, document.locate(pointer), message).field(field).help(help)]
    };
    let remote =
        Remote::parse(&source.url).map_err(|error| invalid("/spec/url", error.to_string(), error.help()))?;
    let reference = match source.reference {
        Named::Branch(name) => Reference::Branch(name),
        Named::Tag(name) => Reference::Tag(name),
        Named::Commit(hash) => {
            Reference::Commit(hash.parse().map_err(|error: skerry_core::id::InvalidId| {
                invalid("/spec/ref/commit", error.to_string(), "write all 40 hex digits")
            })?)
        }
    };
    let login = to_login(source.credentials, folder).ok_or_else(|| {
        let message = "a key is given, but no host key that is trusted".to_owned();
        invalid("/spec/credentials/sshKeyFile", message, "name a known_hosts file in `sshKnownHostsFile`")
    })?;
    let verify = source.verify.map(|verify| verify.with_files_below(folder));
    let problems: Vec<_> = verify.iter().flat_map(Loaded::check_inline).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(SourceConfig {
        remote,
        reference,
        path: if source.path == "." { String::new() } else { source.path },
        interval: source.interval,
        timeout: source.timeout,
        mode: if source.suspend { Mode::Suspended } else { Mode::Follow },
        login,
        webhook_secret: source.webhook_secret_file.map(|path| folder.join(path)),
        verify,
    })
}

/// `None` for a key without known hosts.
fn to_login(credentials: Credentials, folder: &Path) -> Option<Login> {
    let below = |path: PathBuf| folder.join(path);
    let Credentials { username_file, password_file, ssh_key_file, ssh_passphrase_file, ssh_known_hosts_file } =
        credentials;
    match (ssh_key_file, username_file, password_file) {
        (Some(key), _, _) => Some(Login::SshKey {
            key: below(key),
            passphrase: ssh_passphrase_file.map(below),
            known_hosts: below(ssh_known_hosts_file?),
        }),
        (None, Some(username), Some(password)) => {
            Some(Login::Password { username: below(username), password: below(password) })
        }
        _ => Some(Login::Anonymous),
    }
}
