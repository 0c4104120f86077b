//! What the workspace's own programs generate: a table of programs that each write below a folder.

use std::path::Path;

use anyhow::Result;

use super::outputs::Owned;
use crate::workspace::{self, Workspace};

/// A program of this workspace that is given a folder and writes files below it, at the paths that
/// they have below the root.
struct Generator {
    bin: &'static str,
    args: &'static [&'static str],
}

const GENERATORS: &[Generator] = &[
    // deploy/crds/*.yaml, docs/reference/kinds.md
    Generator { bin: "skerry-crds-gen", args: &[] },
    // docs/reference/cli.md
    Generator { bin: "skerry", args: &["generate-docs"] },
];

/// The folders that hold nothing else.
pub(crate) const OWNED: &[Owned] = &[Owned { folder: "deploy/crds", extension: "yaml" }];

/// Runs every generator of the table; `bins` holds the programs.
pub(crate) fn generate(workspace: &Workspace, bins: &Path, out: &Path) -> Result<()> {
    for generator in GENERATORS {
        workspace::run(workspace.command(bins.join(generator.bin)).args(generator.args).arg(out))?;
    }
    Ok(())
}
