//! What lists of ports have in common, whether of a `Service` or of a `Workload`: a number and a name each once.
//!
//! Must not know what a port is for.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use super::{dns, invalid};
use crate::findings::{Findings, below};

/// The numbers and names that a list has so far.
#[derive(Debug, Default)]
pub(crate) struct Ports<'p> {
    numbers: BTreeSet<NonZeroU16>,
    names: BTreeSet<&'p str>,
}

impl<'p> Ports<'p> {
    /// Notes the number of the port at `pointer`, and whether it was there before.
    pub(crate) fn add_number(&mut self, number: NonZeroU16, pointer: &str, findings: &mut Findings<'_>) {
        if !self.numbers.insert(number) {
            let message = format!("port {number} is there twice");
            invalid(findings, &below(pointer, "port"), message, "give each port its own number");
        }
    }

    /// Notes the name of the port at `pointer`, an RFC 1123 label; an empty one is none.
    pub(crate) fn add_name(&mut self, name: &'p str, pointer: &str, findings: &mut Findings<'_>) {
        let pointer = below(pointer, "name");
        if name.is_empty() {
            return;
        }
        if !dns::is_label(name) {
            let help = format!("use {}", dns::LABEL_RULE);
            invalid(findings, &pointer, format!("`{name}` is not the name of a port"), help);
        } else if !self.names.insert(name) {
            let message = format!("name `{name}` is there twice");
            invalid(findings, &pointer, message, "give each port its own name");
        }
    }
}

/// Reads a port: 1 to 65535.
pub(crate) fn number(port: i32, pointer: &str, findings: &mut Findings<'_>) -> Option<NonZeroU16> {
    let number = u16::try_from(port).ok().and_then(NonZeroU16::new);
    if number.is_none() {
        invalid(findings, pointer, format!("{port} is not a port"), "give 1 to 65535");
    }
    number
}
