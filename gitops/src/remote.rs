//! Where a repository is: parses what people write as a Git URL and keeps secrets out of what is printed.
//!
//! Must not open connections.

use std::fmt;

use url::Url;

use crate::credentials::Secret;

/// Text that does not name a repository that can be fetched. It is printed without user and password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the address of a Git repository: {reason}")]
pub struct InvalidRemote {
    /// The text, without user and password.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl InvalidRemote {
    /// Says what would help.
    pub fn help(&self) -> &'static str {
        "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH or a path"
    }
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A folder of this machine (a path or `file://`).
    Local,
    /// `http://` or `https://`, smart protocol.
    Http,
    /// `ssh://` or `user@host:path`.
    Ssh,
}

/// The address of a repository. What is printed has neither password nor query, and no user of an HTTP address, which
/// may be a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    transport: Transport,
    /// The address without password, and for HTTP without user: safe to print and to hand to libgit2.
    address: String,
    host: String,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
}

impl Remote {
    /// Parses a URL, an scp-like address or a path.
    pub fn parse(text: &str) -> Result<Self, InvalidRemote> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidRemote { text: String::new(), reason: "it is empty".to_owned() });
        }
        match (text.contains("://"), scp_like(text)) {
            (true, _) => Self::from_url(text),
            (false, Some(_)) if holds_password(text) => Err(InvalidRemote {
                text: without_userinfo(text),
                reason:
                    "this form has no place for a password, and an `@` in its path must be written as ssh://"
                        .to_owned(),
            }),
            (false, Some((user, host))) => Ok(Self::ssh(text.to_owned(), host, None, user)),
            (false, None) => Ok(Self::local(text)),
        }
    }

    fn from_url(text: &str) -> Result<Self, InvalidRemote> {
        let invalid = |reason: String| InvalidRemote { text: without_userinfo(text), reason };
        if text.starts_with("file://") {
            return Ok(Self::local(text));
        }
        let mut url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if host.is_empty() {
            return Err(invalid("it names no host".to_owned()));
        }
        let (user, password) = userinfo(&url);
        let cleared = url.set_password(None).is_ok();
        match url.scheme().to_owned().as_str() {
            "http" | "https" if cleared && url.set_username("").is_ok() => {
                let (transport, port, address) = (Transport::Http, url.port(), url.to_string());
                Ok(Self { transport, address, host, port, user, password })
            }
            "ssh" if cleared => Ok(Self::ssh(url.to_string(), &host, url.port(), user)),
            scheme => Err(invalid(format!("`{scheme}` is not supported"))),
        }
    }

    fn ssh(address: String, host: &str, port: Option<u16>, user: Option<String>) -> Self {
        let host = host.trim_matches(['[', ']']).to_owned();
        Self { transport: Transport::Ssh, address, host, port, user, password: None }
    }

    fn local(text: &str) -> Self {
        let (address, host) = (text.to_owned(), String::new());
        Self { transport: Transport::Local, address, host, port: None, user: None, password: None }
    }

    /// Returns how it is reached.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns the address without any password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the host, without brackets and port; empty for a local folder.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(crate) fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may carry a token, and says nothing about where the repository is.
        let query = if self.transport == Transport::Http { self.address.find('?') } else { None };
        f.write_str(&self.address[..query.unwrap_or(self.address.len())])
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({self})")
    }
}

fn userinfo(url: &Url) -> (Option<String>, Option<Secret>) {
    let decode = |text: &str| {
        let pairs = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let user = Some(url.username()).filter(|user| !user.is_empty()).and_then(decode);
    let password = url.password().and_then(decode).map(Secret::new);
    (user, password)
}

/// Recognizes `user@host:path` as Git does: a colon with no slash before it.
fn scp_like(text: &str) -> Option<(Option<String>, &str)> {
    let (before, path) = text.split_once(':')?;
    if before.is_empty() || before.contains(['/', '\\']) || before.starts_with('.') || path.is_empty() {
        return None;
    }
    match before.split_once('@') {
        Some((user, host)) => (!host.is_empty()).then(|| (Some(user.to_owned()), host)),
        None => Some((None, before)),
    }
}

/// Says whether an scp-like address may be `USER:PASSWORD@HOST:PATH`, whose parts nobody could tell apart for certain.
fn holds_password(text: &str) -> bool {
    let Some((before, path)) = text.split_once(':') else { return false };
    match path.rsplit_once('@') {
        // A user may be an address of mail; then the host comes after, and another path.
        Some((_, after)) => !before.contains('@') || after.contains(':'),
        None => false,
    }
}

/// Cuts everything before the last `@` of the authority, whatever it is: the text may be no URL at all.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}
