//! The launcher's log: a line of text on standard error. A subscriber with its formatters would be a
//! quarter of a megabyte of what each launcher keeps resident.

use std::fmt::Arguments;
use std::io::Write as _;

use skerry_core::id::Timestamp;

use crate::clock::wall_ms;

/// Writes a line with the time, UTC. One that cannot be written is lost.
pub(super) fn say(words: Arguments<'_>) {
    let line = format!("{} {words}\n", Timestamp(wall_ms()));
    let _lost = std::io::stderr().write_all(line.as_bytes());
}
