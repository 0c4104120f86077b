//! The size of the binaries as shipped.

use anyhow::Result;

use super::{Args, Row};

/// Measures the agent (profile `small`) and the other binaries (profile `release`, with symbols).
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    let small = args.bin_dir.join("../small/skerry-agent");
    let files = [
        ("binary of the agent, profile `small`", small),
        ("binary of the core, profile `release`", args.bin_dir.join("skerry-controller")),
        ("binary of the command, profile `release`", args.bin_dir.join("skerry")),
    ];
    let row = |(what, path): (&str, std::path::PathBuf)| -> Result<Row> {
        let bytes = fs_err::metadata(path)?.len();
        Ok(Row::new(what, format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)))
    };
    files.into_iter().map(row).collect()
}
