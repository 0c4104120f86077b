//! The command line, as typed. Holds no rules: `config` resolves it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::layout::keep_private;
use crate::{app, enrol, launcher, show};

/// The agent of one site of a Skerry mesh.
#[derive(Debug, Parser)]
#[command(name = "skerry-agent", version, about)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Becomes the agent of a site, with a join token.
    Enroll(EnrollArgs),
    /// Runs the agent of a site.
    Run(RunArgs),
    /// Runs the Envoy of one proxy: starts it, restarts it, hands it over to the agent, drains it.
    Launch(LaunchArgs),
    /// Shows what a data folder holds, with no agent and no core.
    Show(ShowArgs),
}

/// Options of `enroll`.
#[derive(Debug, Clone, clap::Args)]
pub struct EnrollArgs {
    /// File with the token that `skerry site enroll` printed; `-` is standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub token_file: PathBuf,
    /// The core, `https://HOST:PORT`, where the token names none or another address.
    #[arg(long, value_name = "URL")]
    pub core: Option<String>,
    /// Where the agent keeps its state, keys among it.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Put the new identity in the place of the one that the folder has.
    #[arg(long)]
    pub replace: bool,
    /// A policy key that the core's trust root may name, and no other: the public half, Ed25519 in PEM. Several: name each.
    #[arg(long, value_name = "FILE")]
    pub policy_key: Vec<PathBuf>,
    /// Where the mesh root is kept offline, end with exit code 75 instead of waiting until it has signed.
    #[arg(long)]
    pub no_wait: bool,
}

/// Options of `run`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// The site that this agent speaks for: that of its enrolment, which it is checked against.
    #[arg(long)]
    pub site: Option<String>,
    /// The core, `https://HOST:PORT`, if not that of the enrolment.
    #[arg(long, value_name = "URL")]
    pub core: Option<String>,
    /// Where the agent keeps its state; at most about 65 characters, since sockets lie below it.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The folder of the site's Workload files; read again whenever it changes.
    #[arg(long, value_name = "DIR")]
    pub workloads: PathBuf,
    /// Where processes of the site ask who they are (SPIFFE Workload API); `workload.sock` in the data folder if left out,
    /// which only the agent's own user can reach.
    #[arg(long, value_name = "SOCKET")]
    pub workload_socket: Option<PathBuf>,
    /// The Envoy to run when the site asks the agent to supervise its proxies.
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    pub envoy: Option<PathBuf>,
    /// The xDS variant that the proxies' bootstraps name; the agent serves both.
    #[arg(long, value_enum, default_value_t = XdsVariant::Delta)]
    pub xds: XdsVariant,
    /// One stream that stays open, or a call now and then.
    #[arg(long, value_enum, default_value_t = LinkMode::Stream)]
    pub link: LinkMode,
    /// Time between two pulls, with `--link pull`.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub pull_interval: String,
    /// Run nothing that no policy key of the trust root has signed, whatever the trust root says of it.
    #[arg(long)]
    pub require_policy_signature: bool,
    /// Drain and stop the supervised proxies when the agent ends; else they go on serving.
    #[arg(long)]
    pub stop_proxies_on_exit: bool,
    /// Log levels, `info` or `warn,skerry_agent=debug`.
    #[arg(long, env = "SKERRY_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// Options of `launch`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct LaunchArgs {
    /// The proxy's folder, `<data-dir>/proxies/<namespace>.<name>`.
    #[arg(long, value_name = "DIR")]
    pub proxy_dir: PathBuf,
    /// The Envoy binary.
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    pub envoy: PathBuf,
    /// How long a draining Envoy may take: seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub drain_seconds: u32,
}

/// Options of `show`.
#[derive(Debug, Clone, clap::Args)]
pub struct ShowArgs {
    /// The agent's data folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// An xDS variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum XdsVariant {
    /// Only what changed is sent.
    Delta,
    /// State of the world: each change sends a type's every resource.
    Sotw,
}

/// How the agent talks to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LinkMode {
    /// One stream that stays open: changes are pushed.
    Stream,
    /// A call now and then: for links that are up for seconds.
    Pull,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs `skerry-launcher`, which has the arguments of `launch` and no verb.
pub fn launcher_main(line: &[OsString]) -> ExitCode {
    match LaunchArgs::from_plain(line) {
        Some(args) => {
            keep_private();
            launcher::main(args)
        }
        None => launcher::refuse("usage: skerry-launcher --proxy-dir DIR --envoy PATH --drain-seconds N"),
    }
}

impl LaunchArgs {
    /// The arguments that the agent starts a launcher with.
    pub(crate) fn to_plain(&self) -> [OsString; 6] {
        let text = |text: &str| OsString::from(text);
        [
            text("--proxy-dir"),
            self.proxy_dir.clone().into(),
            text("--envoy"),
            self.envoy.clone().into(),
            text("--drain-seconds"),
            text(&self.drain_seconds.to_string()),
        ]
    }

    /// Reads exactly those, without the parser that people need: its code would be a good part of
    /// what each launcher keeps resident.
    fn from_plain(line: &[OsString]) -> Option<Self> {
        let [folder_is, folder, envoy_is, envoy, drain_is, drain] = line else { return None };
        let names = [folder_is, envoy_is, drain_is];
        let is_plain = names.iter().zip(["--proxy-dir", "--envoy", "--drain-seconds"]).all(|(a, b)| *a == b);
        let drain_seconds = drain.to_str()?.parse().ok().filter(|seconds| (1..=3600).contains(seconds))?;
        is_plain.then(|| Self { proxy_dir: folder.into(), envoy: envoy.into(), drain_seconds })
    }
}

impl Args {
    /// Runs the verb and returns the process's exit code.
    pub fn run(self) -> ExitCode {
        keep_private();
        match self.verb {
            Verb::Enroll(args) => enrol::main(&args),
            Verb::Run(args) => app::main(&args),
            Verb::Launch(args) => launcher::main(args),
            Verb::Show(args) => show::main(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_plain_line_of_a_launcher_says_the_same() {
        let args = LaunchArgs { proxy_dir: "/p".into(), envoy: "/e".into(), drain_seconds: 7 };
        let plain = args.to_plain();
        let line = ["skerry-agent".into(), "launch".into()].into_iter().chain(plain.clone());
        assert!(matches!(Args::try_parse_from(line).unwrap().verb, Verb::Launch(parsed) if parsed == args));
        assert_eq!(LaunchArgs::from_plain(&plain), Some(args));

        let mut other = plain.clone();
        other[5] = "0".into();
        assert_eq!(LaunchArgs::from_plain(&other), None);
        assert_eq!(LaunchArgs::from_plain(&plain[..4]), None);
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
