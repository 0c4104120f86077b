//! Where policies are read from.

/// A source of policies on this machine.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// A Git repository (a clone or a bare one) or a plain folder with policies
    #[arg(long, short, value_name = "DIR|REPO", default_value = ".")]
    pub source: String,
    /// The folder inside the source that holds the policies
    #[arg(long, value_name = "FOLDER", default_value = "", hide_default_value = true)]
    pub path: String,
}

/// A source of policies at one revision.
#[derive(Debug, Clone, clap::Args)]
pub struct RevisionArgs {
    /// Where policies are read from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The commit, branch or tag to read; without it, the files as they are now (of a bare repository: HEAD)
    #[arg(long, value_name = "REV")]
    pub rev: Option<String>,
}
