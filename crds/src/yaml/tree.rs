//! One document's events → a tree that shares what aliases repeat.
//!
//! Built without recursion: a stack of open collections stands for the call stack, and each node carries
//! its cost, so neither depth nor aliases can exhaust anything.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::cost::{Cost, Limit};
use super::failure::{Failure, Reason};
use super::{MAX_DEPTH, MAX_NODES, clamp};

/// How far the parser looks ahead of the tree: above any depth that the tree allows.
const PARSER_DEPTH: usize = 2_048;

/// A node at its place, counted from 1 in the part.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) node: Node,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) cost: Cost,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Node {
    /// Null, boolean, number or text.
    Scalar(Value),
    List(Vec<Rc<Placed>>),
    Map(Vec<(Rc<str>, Rc<Placed>)>),
}

/// Reads the only document of a text; `None` when it has no node.
pub(super) fn read(text: &str) -> Result<Option<Rc<Placed>>, Failure> {
    let mut options =
        granit_parser::options! { flow_nesting_limit: PARSER_DEPTH, block_nesting_limit: PARSER_DEPTH };
    options.set_emit_comments(false);
    let mut tree = Tree::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Failure::of_parser(&error))?;
        tree.handle(event, &span)?;
    }
    Ok(tree.root)
}

/// The state of a document that is being read.
#[derive(Default)]
struct Tree {
    /// Open collections, outermost first.
    open: Vec<Open>,
    /// The document's node, once it is whole.
    root: Option<Rc<Placed>>,
    /// Whole nodes by the number of their anchor; one that is missing is still open.
    anchors: BTreeMap<usize, Rc<Placed>>,
    documents: usize,
    /// Nodes that are written out so far; what aliases repeat is in the costs.
    written: usize,
    /// Entries that `<<` has copied so far: bounded as nodes are.
    merged: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    /// The number of its anchor; 0 is none.
    anchor: usize,
    line: u32,
    column: u32,
    cost: Cost,
    content: Content,
}

enum Content {
    List(Vec<Rc<Placed>>),
    Map(Entries),
}

/// The entries of an open mapping.
#[derive(Default)]
struct Entries {
    entries: Vec<(Rc<str>, Rc<Placed>)>,
    names: BTreeSet<Rc<str>>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// What `<<` names, in order.
    merges: Vec<Rc<Placed>>,
}

struct Key {
    name: Rc<str>,
    is_merge: bool,
    line: u32,
    column: u32,
}

impl Tree {
    fn handle(&mut self, event: Event<'_>, span: &Span) -> Result<(), Failure> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Failure::new(&span.start, Reason::SecondDocument));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                return self.handle_scalar(&text, style, anchor, tag.as_deref(), &span.start);
            }
            Event::SequenceStart(_, anchor, _) => {
                return self.open(anchor, Content::List(Vec::new()), &span.start);
            }
            Event::MappingStart(_, anchor, _) => {
                return self.open(anchor, Content::Map(Entries::default()), &span.start);
            }
            Event::SequenceEnd | Event::MappingEnd => return self.close(&span.start),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Failure::new(&span.start, Reason::EndlessAlias))?;
                return self.insert(node, &span.start);
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: &Marker,
    ) -> Result<(), Failure> {
        let value = super::scalar::resolve(text, style, tag);
        let value = value.ok_or_else(|| Failure::new(mark, Reason::WrongTag))?;
        let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
        let (line, column) = place(mark);
        let node = Node::Scalar(value.clone());
        let node = Rc::new(Placed { node, line, column, cost: Cost::of_scalar(text.len()) });
        self.remember(anchor, &node, mark)?;
        match self.awaiting_key() {
            Some(entries) => entries.take_key(text, is_merge, &value, mark),
            None => self.insert(node, mark),
        }
    }

    /// Counts a node that is written out, and keeps it for aliases if it has an anchor.
    fn remember(&mut self, anchor: usize, node: &Rc<Placed>, mark: &Marker) -> Result<(), Failure> {
        self.written += 1;
        if self.written > MAX_NODES {
            return Err(Failure::new(mark, Reason::Limit(Limit::Nodes)));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(node));
        }
        Ok(())
    }

    /// The innermost mapping, if a key comes next.
    fn awaiting_key(&mut self) -> Option<&mut Entries> {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Map(entries)) if entries.key.is_none() => Some(entries),
            _ => None,
        }
    }

    fn open(&mut self, anchor: usize, content: Content, mark: &Marker) -> Result<(), Failure> {
        if self.awaiting_key().is_some() {
            return Err(Failure::new(mark, Reason::KeyNotText));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Failure::new(mark, Reason::Limit(Limit::Depth)));
        }
        let (line, column) = self.place_of_value(mark);
        self.open.push(Open { anchor, line, column, cost: Cost::of_collection(), content });
        Ok(())
    }

    /// A collection in a mapping is found at its key: its own first character is that of its first child.
    fn place_of_value(&self, mark: &Marker) -> (u32, u32) {
        match self.open.last().map(|open| &open.content) {
            Some(Content::Map(Entries { key: Some(key), .. })) => (key.line, key.column),
            _ => place(mark),
        }
    }

    fn close(&mut self, mark: &Marker) -> Result<(), Failure> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let node = match open.content {
            Content::List(items) => Node::List(items),
            Content::Map(mut entries) => {
                self.merged += entries.merge(&mut open.cost, MAX_NODES - self.merged.min(MAX_NODES), mark)?;
                Node::Map(entries.entries)
            }
        };
        if let Some(limit) = open.cost.limit() {
            return Err(Failure::at(open.line, open.column, Reason::Limit(limit)));
        }
        let node = Rc::new(Placed { node, line: open.line, column: open.column, cost: open.cost });
        self.remember(open.anchor, &node, mark)?;
        self.insert(node, mark)
    }

    /// Puts a whole node where it belongs: into the innermost open collection, or as the root.
    fn insert(&mut self, node: Rc<Placed>, mark: &Marker) -> Result<(), Failure> {
        let depth_above = self.open.len();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        if node.cost.depth() + depth_above > MAX_DEPTH {
            return Err(Failure::new(mark, Reason::Limit(Limit::Depth)));
        }
        match &mut open.content {
            Content::List(items) => {
                open.cost.add_child(node.cost, digits(items.len()));
                items.push(node);
            }
            Content::Map(entries) => match entries.key.take() {
                // An alias where a key belongs.
                None => match &node.node {
                    Node::Scalar(value) => entries.take_key(&key_text(value), false, value, mark)?,
                    _ => return Err(Failure::new(mark, Reason::KeyNotText)),
                },
                Some(key) if key.is_merge => entries.merges.push(node),
                Some(key) => {
                    open.cost.add_child(node.cost, key.name.len());
                    entries.entries.push((key.name, node));
                }
            },
        }
        match open.cost.limit() {
            Some(limit) => Err(Failure::new(mark, Reason::Limit(limit))),
            None => Ok(()),
        }
    }
}

impl Entries {
    fn take_key(&mut self, text: &str, is_merge: bool, value: &Value, mark: &Marker) -> Result<(), Failure> {
        if value.is_null() {
            return Err(Failure::new(mark, Reason::KeyNotText));
        }
        let name: Rc<str> = text.into();
        if !self.names.insert(Rc::clone(&name)) {
            return Err(Failure::new(mark, Reason::DuplicateKey(text.to_owned())));
        }
        let (line, column) = place(mark);
        self.key = Some(Key { name, is_merge, line, column });
        Ok(())
    }

    /// Copies the entries that `<<` names and the mapping itself does not (YAML 1.1 merge keys, as
    /// `kubectl` applies them); the first of several wins. Says how many were looked at, at most `allowed`.
    fn merge(&mut self, cost: &mut Cost, allowed: usize, mark: &Marker) -> Result<usize, Failure> {
        let mut seen = 0;
        for merge in std::mem::take(&mut self.merges) {
            let sources = match &merge.node {
                Node::List(items) => items.clone(),
                _ => vec![merge],
            };
            for source in sources {
                let Node::Map(entries) = &source.node else {
                    return Err(Failure::new(mark, Reason::MergeNotMapping));
                };
                seen += 1 + entries.len();
                if seen > allowed {
                    return Err(Failure::new(mark, Reason::Limit(Limit::Nodes)));
                }
                for (name, node) in entries {
                    if self.names.insert(Rc::clone(name)) {
                        cost.add_child(node.cost, name.len());
                        self.entries.push((Rc::clone(name), Rc::clone(node)));
                    }
                }
            }
        }
        Ok(seen)
    }
}

fn place(mark: &Marker) -> (u32, u32) {
    (clamp(mark.line()).max(1), clamp(mark.col()).saturating_add(1))
}

/// The number of digits of an index.
fn digits(index: usize) -> usize {
    index.checked_ilog10().map_or(1, |digits| digits as usize + 1)
}

/// A key that an alias names: its value as text.
fn key_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
