//! The size of the binaries as shipped.

use anyhow::Result;

use super::{Args, Row};

/// Measures the agent and its launcher (profile `small`) and the other binaries (profile `release`, with symbols).
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    let files = [
        ("agent, profile `small`", args.small_dir().join("skerry-agent"), "≤ 10 MB"),
        ("launcher, profile `small`", args.small_dir().join("skerry-launcher"), ""),
        ("core, profile `release`", args.bin_dir().join("skerry-controller"), ""),
        ("command, profile `release`", args.bin_dir().join("skerry"), ""),
    ];
    let row = |(what, path, wanted): (&str, std::path::PathBuf, &'static str)| -> Result<Row> {
        let bytes = fs_err::metadata(path)?.len();
        let figure = format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
        Ok(Row::new(format!("binary of the {what}"), figure).wanted(wanted))
    };
    files.into_iter().map(row).collect()
}
