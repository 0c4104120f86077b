//! Label selectors (`metav1.LabelSelector` and the text form of `kubectl -l`), with a canonical order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// Labels of a site, a workload or an object.
pub type Labels = BTreeMap<String, String>;

/// A label selector: every requirement must hold. Without requirements it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Selector(BTreeSet<Requirement>);

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Requirement {
    /// The label has one of the values.
    In(String, BTreeSet<String>),
    /// The label is absent or has none of the values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label is absent.
    DoesNotExist(String),
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

impl Selector {
    /// Builds a selector of requirements.
    pub fn new(requirements: impl IntoIterator<Item = Requirement>) -> Self {
        Self(requirements.into_iter().collect())
    }

    /// Says whether all requirements hold.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }

    /// Lists the labels of which every match has one of the given values.
    pub fn pinned(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        self.0.iter().filter_map(|requirement| match requirement {
            Requirement::In(key, values) => Some((key, values)),
            Requirement::NotIn(..) | Requirement::Exists(_) | Requirement::DoesNotExist(_) => None,
        })
    }

    /// Parses the text form: `tier=retail,region in (eu,us),!lab,canary`.
    ///
    /// Errors name the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let parts = split_outside_parentheses(text).into_iter().map(str::trim);
        parts.map(parse_requirement).collect::<Result<BTreeSet<_>, _>>().map(Self)
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_requirement(part: &str) -> Result<Requirement, String> {
    if part.is_empty() {
        return Err("there is a comma with nothing on one side of it".to_owned());
    }
    let key = |text: &str| -> Result<String, String> {
        let text = text.trim();
        if is_label_key(text) {
            Ok(text.to_owned())
        } else {
            Err(format!("`{part}` is not a label requirement"))
        }
    };
    let one = |text: &str| Ok::<_, String>(BTreeSet::from([value(part, text)?]));
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, one(value)?));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(name)?, one(value)?));
    }
    if let Some((name, values)) = part.split_once(" notin ") {
        return Ok(Requirement::NotIn(key(name)?, parse_set(part, values)?));
    }
    if let Some((name, values)) = part.split_once(" in ") {
        return Ok(Requirement::In(key(name)?, parse_set(part, values)?));
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Requirement::DoesNotExist(key(name)?)),
        None => Ok(Requirement::Exists(key(part)?)),
    }
}

fn parse_set(part: &str, values: &str) -> Result<BTreeSet<String>, String> {
    let inner = values.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("`{part}` lacks its values in parentheses"))?;
    inner.split(',').map(|text| value(part, text)).collect()
}

/// Characters of label keys and values (Kubernetes: "Labels and Selectors", syntax and character set).
fn is_label_text(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
}

/// Says whether a text can be the key of a label: a name, with a prefix and `/` before it or without.
pub fn is_label_key(text: &str) -> bool {
    let name = text.split_once('/').map_or(text, |(_, name)| name);
    !name.is_empty() && text.matches('/').count() <= 1 && is_label_text(&text.replacen('/', "", 1))
}

fn value(part: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if is_label_text(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` in `{part}` is not a label value"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|requirement| match requirement {
                Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", join(values)),
                Requirement::In(key, values) => format!("{key} in ({})", join(values)),
                Requirement::NotIn(key, values) => format!("{key} notin ({})", join(values)),
                Requirement::Exists(key) => key.clone(),
                Requirement::DoesNotExist(key) => format!("!{key}"),
            })
            .collect();
        f.write_str(&parts.join(","))
    }
}
