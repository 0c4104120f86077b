//! Changes to request and response headers, on a route or on one of its backends.

use skerry_core::bundle::v1::{Header, HeaderModifier};

use super::Context;
use crate::envoy::core::header_value_option::HeaderAppendAction;
use crate::envoy::core::{HeaderValue, HeaderValueOption};

/// The longest value that Envoy takes in a configuration, in bytes.
const MAX_VALUE_BYTES: usize = 16_384;

/// Changes to both directions.
#[derive(Clone, Default)]
pub(super) struct Changes {
    pub(super) request: HeaderChanges,
    pub(super) response: HeaderChanges,
}

impl Changes {
    /// Lowers the changes of a route or of a backend.
    pub(super) fn of(
        request: Option<&HeaderModifier>,
        response: Option<&HeaderModifier>,
        context: &mut Context<'_>,
    ) -> Self {
        Self {
            request: HeaderChanges::of_request(request, context),
            response: HeaderChanges::of_response(response, context),
        }
    }

    /// Says whether anything is changed.
    pub(super) fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    /// Makes the changes that have the effect of these and then others.
    pub(super) fn then(&self, later: Self) -> Self {
        Self { request: self.request.then(later.request), response: self.response.then(later.response) }
    }
}

/// Header changes as Envoy takes them. Removals are done first, then these in order.
#[derive(Clone, Default)]
pub(super) struct HeaderChanges {
    pub(super) to_add: Vec<HeaderValueOption>,
    pub(super) to_remove: Vec<String>,
    /// What `host` is set to: Envoy takes that as a rewrite of the host, not as a header.
    pub(super) host: Option<String>,
}

impl HeaderChanges {
    fn of_request(modifier: Option<&HeaderModifier>, context: &mut Context<'_>) -> Self {
        let Some(modifier) = modifier else { return Self::default() };
        let is_host = |header: &&Header| header.name.eq_ignore_ascii_case("host");
        let host = modifier.set.iter().find(is_host).map(|header| header.value.clone());
        let set: Vec<&Header> = modifier.set.iter().filter(|header| !is_host(header)).collect();
        let host = host.filter(|host| is_value(host) && !host.is_empty());
        Self { host, ..Self::of_headers(&set, modifier, context) }
    }

    fn of_response(modifier: Option<&HeaderModifier>, context: &mut Context<'_>) -> Self {
        let Some(modifier) = modifier else { return Self::default() };
        Self::of_headers(&modifier.set.iter().collect::<Vec<_>>(), modifier, context)
    }

    fn is_empty(&self) -> bool {
        self.to_add.is_empty() && self.to_remove.is_empty() && self.host.is_none()
    }

    /// Sets a header by a format of Envoy's, before the changes that a policy makes.
    pub(super) fn format_first(&mut self, name: &str, format: &str) {
        let value = HeaderValue { key: name.to_owned(), value: format.to_owned(), ..Default::default() };
        let append_action = HeaderAppendAction::OverwriteIfExistsOrAdd.into();
        self.to_add.insert(0, HeaderValueOption { header: Some(value), append_action, ..Default::default() });
    }

    fn then(&self, mut later: Self) -> Self {
        let is_kept = |option: &&HeaderValueOption| {
            let name = option.header.as_ref().map_or("", |header| &header.key);
            !later.to_remove.iter().any(|removed| removed.eq_ignore_ascii_case(name))
        };
        let mut to_add: Vec<_> = self.to_add.iter().filter(is_kept).cloned().collect();
        to_add.append(&mut later.to_add);
        let to_remove = [self.to_remove.as_slice(), &later.to_remove].concat();
        Self { to_add, to_remove, host: later.host.or_else(|| self.host.clone()) }
    }

    fn of_headers(set: &[&Header], modifier: &HeaderModifier, context: &mut Context<'_>) -> Self {
        let set = set.iter().map(|header| (*header, HeaderAppendAction::OverwriteIfExistsOrAdd));
        let add = modifier.add.iter().map(|header| (header, HeaderAppendAction::AppendIfExistsOrAdd));
        let mut changes = Self::default();
        for (header, action) in set.chain(add) {
            if may_change(&header.name, context) && may_hold(header, context) {
                changes.to_add.push(to_option(header, action));
            }
        }
        let removed = modifier.remove.iter().filter(|name| may_change(name, context));
        changes.to_remove = removed.cloned().collect();
        changes
    }
}

/// Says whether a text is a header's name (RFC 9110 §5.6.2, token), and not one of Envoy's own like `:path`.
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Says whether Envoy takes a text as a header's value in a configuration.
pub(super) fn is_value(value: &str) -> bool {
    value.len() <= MAX_VALUE_BYTES && !value.contains(['\0', '\n', '\r'])
}

fn may_change(name: &str, context: &mut Context<'_>) -> bool {
    if !is_header_name(name) {
        context.note(format!("`{name}` is not a header name; the change is left out"));
        return false;
    }
    if name.eq_ignore_ascii_case("host") {
        context.note("`host` can only be set; the change is left out");
        return false;
    }
    true
}

fn may_hold(header: &Header, context: &mut Context<'_>) -> bool {
    let may = is_value(&header.value);
    if !may {
        context.note(format!(
            "the value of header `{}` has a line break or is longer than {MAX_VALUE_BYTES} bytes; it is left out",
            header.name
        ));
    }
    may
}

/// `%` starts a format operator in Envoy; a policy's values are plain text.
fn to_option(header: &Header, action: HeaderAppendAction) -> HeaderValueOption {
    let value = HeaderValue {
        key: header.name.clone(),
        value: header.value.replace('%', "%%"),
        ..Default::default()
    };
    HeaderValueOption {
        header: Some(value),
        append_action: action.into(),
        keep_empty_value: header.value.is_empty(),
        ..Default::default()
    }
}
