//! The resolved configuration of `run`: every rule about options is here, pure and tested.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use skerry_core::id::SiteId;
use tracing_subscriber::filter::Targets;

use crate::args::{LinkMode, RunArgs, XdsVariant};
use crate::layout::Layout;

/// What the agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The site that it speaks for.
    pub site: SiteId,
    /// The core's address, loopback.
    pub core: String,
    /// The data folder.
    pub layout: Layout,
    /// The folder of Workload files.
    pub workloads: PathBuf,
    /// Where the Workload API is served.
    pub workload_socket: PathBuf,
    /// The Envoy for supervised proxies.
    pub envoy: Option<PathBuf>,
    /// The xDS variant of bootstraps.
    pub xds: XdsVariant,
    /// How it talks to the core.
    pub link: LinkMode,
    /// Time between two pulls.
    pub pull_interval: Duration,
    /// How long the proxies may take to acknowledge a bundle.
    pub confirm_deadline: Duration,
    /// Whether supervised proxies end with the agent.
    pub on_exit: OnExit,
    /// What launchers are started with.
    pub launcher: Launcher,
    /// What is logged.
    pub log: String,
}

/// The command that a launcher is started with; the options of `launch` follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The binary.
    pub program: PathBuf,
    /// The verb, if it takes one.
    pub verb: Option<&'static str>,
}

impl Launcher {
    /// Takes the `skerry-launcher` beside the agent's own binary, else that binary itself.
    /// `exists` says whether a file is there.
    pub fn beside(agent: PathBuf, exists: impl Fn(&Path) -> bool) -> Self {
        let small = agent.with_file_name("skerry-launcher");
        if exists(&small) {
            Self { program: small, verb: None }
        } else {
            Self { program: agent, verb: Some("launch") }
        }
    }
}

/// What becomes of supervised proxies when the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExit {
    /// They go on serving.
    LeaveProxies,
    /// They are drained and stopped.
    StopProxies,
}

/// An option that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `--site`.
    #[error("--site: {0} (help: name it as the Site in the policy repository)")]
    Site(#[from] skerry_core::id::InvalidId),
    /// `--core` is not an address.
    #[error("--core {0}: not an address (help: write http://127.0.0.1:PORT)")]
    NotAnAddress(String),
    /// `--core` is elsewhere.
    #[error(
        "--core {0}: only a loopback address is accepted as long as there is no mutual TLS (help: use http://127.0.0.1:PORT, \
         by a tunnel if the core is elsewhere)"
    )]
    NotLoopback(String),
    /// A duration.
    #[error("--pull-interval {0}: not a time between 1ms and 24h (help: write 500ms, 30s, 5m or 1h)")]
    Duration(String),
    /// A log filter that is not one.
    #[error("--log {0}: {1} (help: write error, warn, info, debug or trace, or warn,skerry_agent=debug)")]
    Log(String, String),
    /// A path.
    #[error("{0}: {1}")]
    Path(&'static str, std::io::Error),
}

/// The default time for proxies to acknowledge a bundle: ten times what a cold Envoy with 1,000
/// clusters takes.
pub const CONFIRM_DEADLINE: Duration = Duration::from_secs(10);

impl Config {
    /// Resolves the options.
    pub fn resolve(args: RunArgs, launcher: Launcher) -> Result<Self, ConfigError> {
        require_loopback(&args.core)?;
        if let Err(error) = Targets::from_str(&args.log) {
            return Err(ConfigError::Log(args.log, error.to_string()));
        }
        let absolute =
            |name, path: PathBuf| std::path::absolute(path).map_err(|error| ConfigError::Path(name, error));
        let layout = Layout::new(absolute("--data-dir", args.data_dir)?);
        let workload_socket = match args.workload_socket {
            Some(path) => absolute("--workload-socket", path)?,
            None => layout.workload_socket(),
        };
        Ok(Self {
            site: SiteId::new(args.site)?,
            core: args.core,
            layout,
            workload_socket,
            workloads: absolute("--workloads", args.workloads)?,
            envoy: args.envoy.map(|path| absolute("--envoy", path)).transpose()?,
            xds: args.xds,
            link: args.link,
            pull_interval: parse_duration(&args.pull_interval)
                .ok_or(ConfigError::Duration(args.pull_interval))?,
            confirm_deadline: CONFIRM_DEADLINE,
            on_exit: if args.stop_proxies_on_exit { OnExit::StopProxies } else { OnExit::LeaveProxies },
            launcher,
            log: args.log,
        })
    }
}

fn require_loopback(core: &str) -> Result<(), ConfigError> {
    let not_an_address = || ConfigError::NotAnAddress(core.to_owned());
    let uri: tonic::transport::Uri = core.parse().map_err(|_| not_an_address())?;
    let host = uri.host().filter(|_| uri.scheme_str().is_some()).ok_or_else(not_an_address)?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("http") if is_loopback => Ok(()),
        Some("http") => Err(ConfigError::NotLoopback(core.to_owned())),
        _ => Err(not_an_address()),
    }
}

/// Parses `500ms`, `30s`, `5m`, `1h`; more than zero, at most a day.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=86_400_000).contains(&milliseconds).then(|| Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(core: &str) -> RunArgs {
        RunArgs {
            site: "store-1".into(),
            core: core.into(),
            data_dir: "/var/lib/skerry".into(),
            workloads: "/etc/skerry/workloads".into(),
            workload_socket: None,
            envoy: None,
            xds: XdsVariant::Delta,
            link: LinkMode::Stream,
            pull_interval: "30s".into(),
            stop_proxies_on_exit: false,
            log: "info".into(),
        }
    }

    #[test]
    fn only_a_loopback_core_is_accepted() {
        for (core, expected) in [
            ("http://127.0.0.1:7443", None),
            ("http://127.9.9.9:1", None),
            ("http://[::1]:7443", None),
            ("http://localhost:7443", None),
            ("http://10.0.0.1:7443", Some("only a loopback address")),
            ("http://127.0.0.1.example.org:80", Some("only a loopback address")),
            ("https://127.0.0.1:7443", Some("not an address")),
            ("127.0.0.1:7443", Some("not an address")),
            ("", Some("not an address")),
        ] {
            let result = Config::resolve(args(core), Launcher::beside("/bin/skerry-agent".into(), |_| true));
            match expected {
                None => assert!(result.is_ok(), "{core}: {result:?}"),
                Some(words) => assert!(result.unwrap_err().to_string().contains(words), "{core}"),
            }
        }
    }

    #[test]
    fn a_launcher_is_the_small_binary_where_there_is_one() {
        let small =
            Launcher::beside("/bin/skerry-agent".into(), |path| path == Path::new("/bin/skerry-launcher"));
        assert_eq!(small, Launcher { program: "/bin/skerry-launcher".into(), verb: None });
        let own = Launcher::beside("/bin/skerry-agent".into(), |_| false);
        assert_eq!(own, Launcher { program: "/bin/skerry-agent".into(), verb: Some("launch") });
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("30", None),
            ("0s", None),
            ("25h", None),
            ("s", None),
            ("-1s", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
