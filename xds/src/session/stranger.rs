//! Kinds of resources that this server does not have: it says so, and never leaves a client waiting.

use std::collections::{BTreeMap, BTreeSet};

use super::feed::Batch;
use super::interest::WILDCARD;
use super::variant::{Answer, Ask, Change};

/// More types, or more names of one, than any client asks for; what is beyond is not answered.
const MAX_TYPES: usize = 16;
const MAX_NAMES: usize = 1_024;

/// Questions about unknown types that are not answered yet, with the names in them.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    open: BTreeMap<String, BTreeSet<String>>,
}

impl Strangers {
    /// Takes a request; acknowledgements and refusals ask nothing.
    pub(super) fn handle_ask(&mut self, ask: Ask) {
        let names = match ask.change {
            Change::Delta { subscribe, .. } => subscribe,
            Change::Whole { .. } => Vec::new(),
        };
        let asks_nothing = names.is_empty() && !ask.nonce.is_empty();
        if asks_nothing || (self.open.len() == MAX_TYPES && !self.open.contains_key(&ask.type_url)) {
            return;
        }
        let open = self.open.entry(ask.type_url).or_default();
        let room = MAX_NAMES.saturating_sub(open.len());
        open.extend(names.into_iter().filter(|name| name != WILDCARD).take(room));
    }

    /// Answers one type: none of the names exist.
    pub(super) fn poll(&mut self, nonce: String) -> Option<Answer> {
        let (type_url, names) = self.open.pop_first()?;
        let batch = Batch { removed: names.into_iter().map(Into::into).collect(), ..Default::default() };
        Some(Answer { type_url, nonce, system_version: String::new(), batch })
    }
}
