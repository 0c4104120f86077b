//! Where the listeners of a snapshot are in its file, so that a launcher, which knows no protobuf, can leave those out
//! whose address somebody else has. A text file beside the snapshot: its length and sum, then a line for each listener.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

/// The index of one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Which file it is of.
    pub(crate) sum: Sum,
    /// Its listeners, in the order of the file.
    pub(crate) listeners: Vec<Listener>,
}

/// What tells that an index belongs to a file: both are replaced, one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    length: usize,
    hash: u64,
}

/// A listener of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its bytes in the file.
    pub(crate) range: Range<usize>,
    /// What it binds.
    pub(crate) at: SocketAddr,
    /// Whether it binds an address that no interface has.
    pub(crate) is_free: bool,
}

impl Sum {
    /// Sums a file up (FNV-1a): it tells files of one writer apart, and keeps nobody out.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self { length: bytes.len(), hash: bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold) }
    }
}

impl Index {
    /// Writes it.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{} {:x}\n", self.sum.length, self.sum.hash);
        for Listener { range, at, is_free } in &self.listeners {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {} {at} {}", range.start, range.end, u8::from(*is_free));
        }
        text
    }

    /// Reads it. `None` when it is none, or not of these bytes.
    pub(crate) fn read(text: &str, bytes: &[u8]) -> Option<Self> {
        let mut lines = text.lines();
        let (length, hash) = lines.next()?.split_once(' ')?;
        let sum = Sum { length: length.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? };
        let listeners = lines.map(|line| Listener::read(line, bytes.len())).collect::<Option<_>>()?;
        (sum == Sum::of(bytes)).then_some(Self { sum, listeners })
    }

    /// The bytes without the listeners that are not to be there, and what those would bind.
    pub(crate) fn cut(
        &self,
        bytes: &[u8],
        mut is_left_out: impl FnMut(&Listener) -> bool,
    ) -> (Vec<u8>, Vec<SocketAddr>) {
        let (mut kept, mut left_out, mut from) = (Vec::with_capacity(bytes.len()), Vec::new(), 0);
        for listener in &self.listeners {
            if is_left_out(listener) {
                kept.extend_from_slice(bytes.get(from..listener.range.start).unwrap_or_default());
                from = listener.range.end;
                left_out.push(listener.at);
            }
        }
        kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
        (kept, left_out)
    }
}

impl Listener {
    fn read(line: &str, length: usize) -> Option<Self> {
        let mut words = line.split(' ');
        let range = words.next()?.parse().ok()?..words.next()?.parse().ok()?;
        let (at, is_free) = (words.next()?.parse().ok()?, words.next()? == "1");
        (range.start <= range.end && range.end <= length).then_some(Self { range, at, is_free })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"head|one|two|three|";

    fn index() -> Index {
        let listener = |range, port, is_free| {
            let at = SocketAddr::from(([127, 0, 0, 1], port));
            Listener { range, at, is_free }
        };
        let listeners = vec![listener(5..9, 1, false), listener(9..13, 2, true), listener(13..19, 3, false)];
        Index { sum: Sum::of(BYTES), listeners }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_of_its_own_file_alone() {
        let text = index().to_text();
        assert_eq!(Index::read(&text, BYTES), Some(index()));
        assert_eq!(Index::read(&text, b"head|one|two|threx|"), None);
        assert_eq!(Index::read(&text, &BYTES[1..]), None);
        for broken in [
            "",
            "x",
            "19 0",
            &text.replace("9 13", "9 99"),
            &text.replace("5 9", "9 5"),
            &text.replace(" 1\n", "\n"),
        ] {
            assert_eq!(Index::read(broken, BYTES), None, "{broken}");
        }
    }

    #[test]
    fn listeners_are_cut_out() {
        let cut = |ports: &[u16]| index().cut(BYTES, |listener| ports.contains(&listener.at.port()));
        for (ports, expected) in [
            (&[][..], "head|one|two|three|"),
            (&[1], "head|two|three|"),
            (&[2], "head|one|three|"),
            (&[1, 3], "head|two|"),
            (&[1, 2, 3], "head|"),
        ] {
            let (kept, left_out) = cut(ports);
            assert_eq!((kept.as_slice(), left_out.len()), (expected.as_bytes(), ports.len()));
        }
    }
}
