//! What a node costs once it is a plain value: nodes, text, pointers and depth, with aliases expanded.
//!
//! Known from its children alone, so an alias bomb is found while its lines are read, before anything
//! is expanded.

use super::{MAX_DEPTH, MAX_NODES};

/// The most text of one document, with aliases expanded: twice the longest file.
const MAX_TEXT_BYTES: usize = 8 << 20;

/// The most bytes of JSON pointers of one document: 250,000 nodes of a usual depth need 15 MiB.
const MAX_POINTER_BYTES: usize = 24 << 20;

/// All documents of one file may cost as much as this many of the largest.
const FILE_SHARE: usize = 4;

/// The cost of a node and all below it. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    nodes: usize,
    text: usize,
    /// Bytes of the pointers of all below, counted from this node on.
    pointers: usize,
    /// Lists and mappings on the longest way down, this one included.
    depth: usize,
}

/// A limit that a document is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Nodes,
    Text,
    Pointers,
    Depth,
}

impl Cost {
    /// The cost of a scalar.
    pub(super) fn of_scalar(text: usize) -> Self {
        Self { nodes: 1, text, pointers: 0, depth: 0 }
    }

    /// The cost of a list or mapping without children.
    pub(super) fn of_collection() -> Self {
        Self { nodes: 1, text: 0, pointers: 0, depth: 1 }
    }

    /// Adds a child that is reached by a key, or by an index, of so many bytes.
    pub(super) fn add_child(&mut self, child: Self, key: usize) {
        let token = key.saturating_add(1);
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.text = self.text.saturating_add(child.text).saturating_add(key);
        self.pointers =
            self.pointers.saturating_add(child.pointers).saturating_add(token.saturating_mul(child.nodes));
        self.depth = self.depth.max(child.depth.saturating_add(1));
    }

    /// Lists and mappings on the longest way down, this one included.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Names the first limit that a node of this cost is over.
    pub(super) fn limit(&self) -> Option<Limit> {
        if self.depth > MAX_DEPTH {
            Some(Limit::Depth)
        } else if self.nodes > MAX_NODES {
            Some(Limit::Nodes)
        } else if self.text > MAX_TEXT_BYTES {
            Some(Limit::Text)
        } else {
            (self.pointers > MAX_POINTER_BYTES).then_some(Limit::Pointers)
        }
    }
}

/// What the documents of a file cost so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    nodes: usize,
    text: usize,
    pointers: usize,
}

impl Ledger {
    /// Adds a document that is kept.
    pub(super) fn charge(&mut self, cost: Cost) {
        self.nodes += cost.nodes;
        self.text += cost.text;
        self.pointers += cost.pointers;
    }

    /// Says whether the file's share is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.nodes > FILE_SHARE * MAX_NODES
            || self.text > FILE_SHARE * MAX_TEXT_BYTES
            || self.pointers > FILE_SHARE * MAX_POINTER_BYTES
    }
}
