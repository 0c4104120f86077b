//! Where each field of a patched object comes from: from the base, or from one of the overrides in it.
//!
//! A patch that adds an item to a list, or removes one, moves the items behind it; a trace moves with them.
//! Must not know what an override is: it keeps pointers, and a number for each layer.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A field of a text: of the base's, or of an override's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The override, by its place among those that are applied; `None` is the base.
    pub layer: Option<usize>,
    /// The field there, as a JSON pointer.
    pub pointer: String,
}

/// One change of a value, as far as it moves fields. Pointers are those before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A field, or an item that a list has, gets another value.
    Set(String),
    /// A field of a mapping goes.
    Unset(String),
    /// A list of `length` items gets one more.
    Insert {
        /// The list.
        list: String,
        /// The place of the new item, at most `length`.
        at: usize,
        /// How many it had.
        length: usize,
    },
    /// A list of `length` items loses one.
    Remove {
        /// The list.
        list: String,
        /// The place of the item.
        at: usize,
        /// How many it had.
        length: usize,
    },
}

/// Where the fields of a patched object come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// By pointer in the patched object, for it and all that is below it. What no entry leads to is where it was in the base.
    entries: BTreeMap<String, Entry>,
    /// Lists that an override added an item to, or took one from; the last that did.
    lists: BTreeMap<String, Source>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// It and what is below it is there.
    Has(Source),
    /// It is gone, and that was said there.
    Gone(Source),
}

impl Trace {
    /// Notes a change, and the field that asked for it.
    pub fn edit(&mut self, edit: &Edit, source: Source) {
        if let Edit::Insert { list, at, length } | Edit::Remove { list, at, length } = edit {
            self.pin(list, *at, *length);
        }
        edit.move_keys(&mut self.entries);
        edit.move_keys(&mut self.lists);
        match edit {
            Edit::Set(pointer) => drop(self.entries.insert(pointer.clone(), Entry::Has(source))),
            Edit::Unset(pointer) => drop(self.entries.insert(pointer.clone(), Entry::Gone(source))),
            Edit::Insert { list, at, .. } => {
                self.entries.insert(format!("{list}/{at}"), Entry::Has(source.clone()));
                self.lists.insert(list.clone(), source);
            }
            Edit::Remove { list, length, .. } => {
                // The last place is empty now; a list without items may stand for one that has a default item.
                let last = length.saturating_sub(1);
                self.entries.insert(format!("{list}/{last}"), Entry::Gone(source.clone()));
                self.lists.insert(list.clone(), source);
            }
        }
    }

    /// Writes down where the items of a list from `at` on come from, before they move.
    fn pin(&mut self, list: &str, at: usize, length: usize) {
        for item in at..length {
            let pointer = format!("{list}/{item}");
            let source = self.resolve(&pointer);
            self.entries.entry(pointer).or_insert(Entry::Has(source));
        }
    }

    /// Finds where a field comes from; one that is gone, where that was said.
    pub fn resolve(&self, pointer: &str) -> Source {
        let mut known = pointer;
        loop {
            match (self.entries.get(known), known.rfind('/')) {
                (Some(Entry::Has(Source { layer, pointer: own })), _) => {
                    return Source { layer: *layer, pointer: format!("{own}{}", &pointer[known.len()..]) };
                }
                (Some(Entry::Gone(source)), _) => return source.clone(),
                (None, Some(cut)) => known = &known[..cut],
                (None, None) => return Source { layer: None, pointer: pointer.to_owned() },
            }
        }
    }

    /// Finds what has a say in what is wrong with a field: the override that set it, or the last that set or moved a part
    /// of it. An old mistake that was only moved is nobody's but the base's.
    pub fn blamed(&self, pointer: &str) -> Option<Source> {
        let own = self.resolve(pointer);
        if own.layer.is_some() {
            return Some(own);
        }
        let parts = self.touched().filter(|(part, _)| !pointer.is_empty() && is_within(part, pointer));
        // Of one layer the first.
        parts.map(|(_, source)| source).min_by_key(|source| Reverse(source.layer)).cloned()
    }

    /// Lists what a layer set or took away, by pointer in the patched object.
    pub fn set_by(&self, layer: usize) -> impl Iterator<Item = (&str, &Source)> {
        self.entries().filter(move |(_, source)| source.layer == Some(layer))
    }

    /// Lists the lists whose items a layer moved last.
    pub fn moved_by(&self, layer: usize) -> impl Iterator<Item = (&str, &Source)> {
        self.lists().filter(move |(_, source)| source.layer == Some(layer))
    }

    fn touched(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.entries().chain(self.lists()).filter(|(_, source)| source.layer.is_some())
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.entries.iter().map(|(pointer, entry)| match entry {
            Entry::Has(source) | Entry::Gone(source) => (pointer.as_str(), source),
        })
    }

    fn lists(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.lists.iter().map(|(list, source)| (list.as_str(), source))
    }
}

impl Edit {
    /// Moves what is kept by pointer as the change moves fields: what it replaces or removes is gone.
    pub fn move_keys<V>(&self, map: &mut BTreeMap<String, V>) {
        match self {
            Self::Set(pointer) | Self::Unset(pointer) => cut(map, pointer),
            Self::Insert { list, at, .. } => shift(map, list, *at, |item| item + 1),
            Self::Remove { list, at, .. } => {
                cut(map, &format!("{list}/{at}"));
                shift(map, list, at + 1, |item| item - 1);
            }
        }
    }
}

/// Says whether `inner` is `outer` or a field below it.
pub fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn cut<V>(map: &mut BTreeMap<String, V>, pointer: &str) {
    map.remove(pointer);
    for key in below(map, pointer) {
        map.remove(&key);
    }
}

/// Gives the items of a list from `from` on another place.
fn shift<V>(map: &mut BTreeMap<String, V>, list: &str, from: usize, to: impl Fn(usize) -> usize) {
    let mut moved = Vec::new();
    for key in below(map, list) {
        let rest = &key[list.len() + 1..];
        let (item, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let Some(item) = item.parse().ok().filter(|item| *item >= from) else { continue };
        let moved_key = format!("{list}/{}{tail}", to(item));
        moved.extend(map.remove(&key).map(|value| (moved_key, value)));
    }
    map.extend(moved);
}

/// The keys below a pointer: `0` is the character after `/`.
fn below<V>(map: &BTreeMap<String, V>, pointer: &str) -> Vec<String> {
    map.range(format!("{pointer}/")..format!("{pointer}0")).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(list: &str, at: usize, length: usize) -> Edit {
        Edit::Insert { list: list.to_owned(), at, length }
    }

    fn remove(list: &str, at: usize, length: usize) -> Edit {
        Edit::Remove { list: list.to_owned(), at, length }
    }

    fn set(pointer: &str) -> Edit {
        Edit::Set(pointer.to_owned())
    }

    /// Each edit is of a layer of its own, whose field is `/<layer>`.
    fn trace(edits: &[Edit]) -> Trace {
        let mut trace = Trace::default();
        for (layer, edit) in edits.iter().enumerate() {
            trace.edit(edit, Source { layer: Some(layer), pointer: format!("/{layer}") });
        }
        trace
    }

    fn resolved(trace: &Trace, pointers: &[&str]) -> Vec<String> {
        let text = |source: Source| {
            let layer = source.layer.map_or("base".to_owned(), |layer| layer.to_string());
            format!("{layer} {}", source.pointer)
        };
        pointers.iter().map(|pointer| text(trace.resolve(pointer))).collect()
    }

    #[test]
    fn items_behind_one_that_is_added_or_removed_keep_their_origin() {
        let pointers = ["/a/0/x", "/a/1/x", "/a/2/x", "/b/1"];
        let added = trace(&[insert("/a", 1, 2)]);
        assert_eq!(resolved(&added, &pointers), ["base /a/0/x", "0 /0/x", "base /a/1/x", "base /b/1"]);
        let removed = trace(&[remove("/a", 0, 4)]);
        assert_eq!(resolved(&removed, &pointers), ["base /a/1/x", "base /a/2/x", "base /a/3/x", "base /b/1"]);
    }

    #[test]
    fn what_was_set_moves_with_its_item_and_goes_with_it() {
        let moved = trace(&[set("/a/1/x"), insert("/a/1/l", 0, 1), insert("/a", 0, 2)]);
        let pointers = ["/a/0/x", "/a/1/x", "/a/2/x", "/a/2/l/0", "/a/2/l/1", "/a/2/y"];
        let expected = ["2 /2/x", "base /a/0/x", "0 /0", "1 /1", "base /a/1/l/0", "base /a/1/y"];
        assert_eq!(resolved(&moved, &pointers), expected);
        let gone = trace(&[set("/a/1/x"), remove("/a", 1, 3)]);
        assert_eq!(resolved(&gone, &["/a/1/x", "/a/0/x"]), ["base /a/2/x", "base /a/0/x"]);
        assert_eq!(gone.blamed("/a/1"), None, "nobody has a say in what was moved");
    }

    #[test]
    fn a_list_of_a_layer_keeps_its_origin_item_by_item() {
        let trace = trace(&[set("/a"), remove("/a", 0, 3), insert("/a", 2, 2)]);
        assert_eq!(
            resolved(&trace, &["/a/0", "/a/1", "/a/2/x", "/a"]),
            ["0 /0/1", "0 /0/2", "2 /2/x", "0 /0"]
        );
    }

    #[test]
    fn what_is_gone_is_blamed_on_who_said_so_and_has_no_fields_below_it() {
        let gone = trace(&[Edit::Unset("/a/b".to_owned())]);
        assert_eq!(resolved(&gone, &["/a/b/c/0", "/a"]), ["0 /0", "base /a"]);
        assert_eq!(gone.blamed("/a").unwrap().layer, Some(0));
        assert_eq!(gone.blamed(""), None, "the whole object is not its part");
        let list = trace(&[remove("/a", 1, 2), remove("/a", 0, 1)]);
        assert_eq!(list.blamed("/a").unwrap().layer, Some(1));
        assert_eq!(resolved(&list, &["/a/0/x"]), ["1 /1"], "of an item that is there by default");
        assert_eq!(trace(&[remove("/a", 0, 1), set("/a")]).lists, BTreeMap::new());
    }

    #[test]
    fn keys_with_a_common_beginning_are_no_parts() {
        let mut map: BTreeMap<String, u8> =
            ["/a", "/a-b/1", "/a/1", "/a/1/x", "/a/10", "/a/2", "/ab/1", "/a/n"]
                .map(|key| (key.to_owned(), 0))
                .into();
        remove("/a", 1, 11).move_keys(&mut map);
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        assert_eq!(keys, ["/a", "/a-b/1", "/a/1", "/a/9", "/a/n", "/ab/1"]);
    }
}
