//! Changes to the path of a request or of a redirect (Gateway API `HTTPPathModifier`). The query is kept.

use skerry_core::bundle::v1::path_modifier::Kind;
use skerry_core::bundle::v1::{PathMatch, PathModifier};

use super::header::is_value;
use super::{Context, matching};
use crate::envoy::matcher::RegexMatchAndSubstitute;
use crate::envoy::{expression, quote};

/// How Envoy shall change the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathChange {
    /// Not at all.
    Keep,
    /// The whole path becomes this.
    Whole(String),
    /// The prefix that the route matched becomes this.
    Prefix(String),
    /// The prefix, without a slash at its end, and the slashes after it become one slash.
    StripPrefix(String),
}

impl PathChange {
    /// Lowers a modifier of a route that matches `path`.
    ///
    /// `ReplacePrefixMatch` needs a prefix match (the API's CEL rule); with an exact match the whole
    /// path is the prefix, with an expression nothing is changed.
    pub(super) fn of(
        modifier: Option<&PathModifier>,
        path: Option<&PathMatch>,
        context: &mut Context<'_>,
    ) -> Self {
        let kind = modifier.and_then(|modifier| modifier.kind.as_ref());
        let (Some(Kind::Full(text) | Kind::Prefix(text)), Some(kind)) = (kind, kind) else {
            return Self::Keep;
        };
        if !is_value(text) {
            context.note("the new path has a line break; the path is kept");
            return Self::Keep;
        }
        match (kind, matching::prefix(path)) {
            (Kind::Full(path), _) => Self::Whole(absolute(path)),
            (Kind::Prefix(replacement), Some(prefix)) => Self::of_prefix(prefix, replacement),
            (Kind::Prefix(replacement), None) if matches_exactly(path) => Self::Whole(absolute(replacement)),
            (Kind::Prefix(_), None) => {
                context.note("an expression has no prefix to replace; the path is kept");
                Self::Keep
            }
        }
    }

    /// The table of `ReplacePrefixMatch`: slashes at the end of prefix and replacement do not count,
    /// and what follows the prefix keeps its own.
    fn of_prefix(prefix: &str, replacement: &str) -> Self {
        match (prefix, replacement.trim_end_matches('/')) {
            ("", "") => Self::Keep,
            ("", replacement) => Self::Prefix(format!("{}/", absolute(replacement))),
            (prefix, "") => Self::StripPrefix(prefix.to_owned()),
            (_, replacement) => Self::Prefix(absolute(replacement)),
        }
    }

    /// The change as a substitution, for those that are not a plain replacement of the match.
    pub(super) fn to_substitution(&self) -> Option<RegexMatchAndSubstitute> {
        let (regex, substitution) = match self {
            Self::Keep | Self::Prefix(_) => return None,
            Self::Whole(path) => ("^.*$".to_owned(), path.replace('\\', "\\\\")),
            Self::StripPrefix(prefix) => (format!("^{}/*", quote(prefix)), "/".to_owned()),
        };
        Some(RegexMatchAndSubstitute { pattern: Some(expression(&regex)), substitution })
    }
}

fn matches_exactly(path: Option<&PathMatch>) -> bool {
    use skerry_core::bundle::v1::path_match::Kind::Exact;
    path.is_some_and(|path| matches!(path.kind, Some(Exact(_))))
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::PathChange;

    #[test]
    fn a_backslash_in_a_new_path_is_no_group() {
        let substitution = PathChange::Whole(r"/a\1".to_owned()).to_substitution().unwrap();
        assert_eq!(substitution.substitution, r"/a\\1");
    }
}
