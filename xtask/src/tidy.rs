//! `cargo xtask tidy`: rules of this repository that neither the compiler nor clippy knows.
//!
//! One file for each check. A check is a function from values to violations; only this file and
//! `tree` touch the disk.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use tree::Tree;
use violation::{Severity, Violation};

mod forgotten;
mod heads;
mod invariants;
mod layering;
mod links;
mod names;
mod providers;
mod sizes;
mod tree;
mod violation;
mod words;

/// Runs every check and prints what they find, by path and line.
pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let tree = Tree::read(&workspace.root)?;
    let roots = forgotten::target_roots(&workspace);
    let mut violations = layering::check(&tree, &layering::Graph::read(&workspace)?);
    violations.extend(forgotten::check(&tree, &roots));
    for check in [
        heads::check,
        invariants::check,
        links::check,
        names::check,
        providers::check,
        sizes::check,
        words::check,
    ] {
        violations.extend(check(&tree));
    }
    violations.sort();
    Ok(report(&violations))
}

fn report(violations: &[Violation]) -> ExitCode {
    for violation in violations {
        println!("{violation}");
    }
    let errors = violations.iter().filter(|violation| violation.severity == Severity::Error).count();
    if errors == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{errors} violations");
    ExitCode::FAILURE
}
