//! Which core to ask.

/// The core that answers.
#[derive(Debug, Clone, clap::Args)]
pub struct CoreArgs {
    /// The core to ask
    #[arg(
        long,
        value_name = "URL",
        env = "SKERRY_CORE",
        hide_env_values = true,
        default_value = "http://127.0.0.1:7443"
    )]
    pub core: String,
}
