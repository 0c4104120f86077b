//! What to compare with what.

/// Two revisions of one repository, or two folders.
#[derive(Debug, Clone, clap::Args)]
pub struct RangeArgs {
    /// Two revisions; `BASE` alone compares it with the files as they are (of a bare repository: with HEAD)
    #[arg(value_name = "BASE..HEAD", conflicts_with_all = ["base", "head", "against"])]
    pub range: Option<String>,
    /// The revision to compare with, HEAD if not given
    #[arg(long, value_name = "REV", conflicts_with = "against")]
    pub base: Option<String>,
    /// The new revision; without it, the files as they are (of a bare repository: HEAD)
    #[arg(long, value_name = "REV", conflicts_with = "against")]
    pub head: Option<String>,
    /// Another folder or repository to compare with: what it holds is the old state
    #[arg(long, value_name = "DIR|REPO")]
    pub against: Option<String>,
}
