//! The resolved configuration of `run`: every rule about options is here, pure and tested.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use skerry_core::id::SiteId;
use skerry_identity::trust_root::PolicyDemand;
use skerry_proto::tls::is_core_url;
use tracing_subscriber::filter::Targets;

use crate::args::{LinkMode, RunArgs, XdsVariant};
use crate::enrolment::{Enrolment, EnrolmentError, Found};
use crate::layout::Layout;
use crate::store::Store;

/// What the agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The site that it speaks for.
    pub site: SiteId,
    /// The core's address; not known while the identity that has it is lost.
    pub core: Option<String>,
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
    /// What the site asks for of policy keys.
    pub policy: PolicyDemand,
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
    /// `--site` is not that of the enrolment.
    #[error(
        "--site {given}: {path} is the identity of site `{enrolled}` (help: leave --site out, or name another --data-dir)"
    )]
    OtherSite {
        /// What was given.
        given: SiteId,
        /// Whose identity it is.
        enrolled: SiteId,
        /// Where that is.
        path: String,
    },
    /// There is no identity.
    #[error(
        "{0}: this agent is not enrolled (help: `skerry site enroll SITE` prints a token; hand it to `skerry-agent enroll --data-dir DIR`)"
    )]
    NotEnrolled(String),
    /// The identity cannot be read.
    #[error("{0} (help: put back a copy of it, or enrol the site again with a new token and `--replace`)")]
    Identity(#[from] EnrolmentError),
    /// `--core` is not an address.
    #[error("--core {0}: not an address (help: write https://HOST:PORT)")]
    NotAnAddress(String),
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
    /// Resolves the options; `enrolled` reads whose data folder it is.
    pub fn resolve(
        args: RunArgs,
        launcher: Launcher,
        enrolled: impl FnOnce(&Layout) -> Result<Option<Enrolled>, EnrolmentError>,
    ) -> Result<Self, ConfigError> {
        if let Err(error) = Targets::from_str(&args.log) {
            return Err(ConfigError::Log(args.log, error.to_string()));
        }
        let absolute =
            |name, path: PathBuf| std::path::absolute(path).map_err(|error| ConfigError::Path(name, error));
        let given = args.site.map(SiteId::new).transpose()?;
        let layout = Layout::new(absolute("--data-dir", args.data_dir)?);
        let shown = layout.enrolment().display().to_string();
        let Enrolled { site, core } =
            enrolled(&layout)?.ok_or_else(|| ConfigError::NotEnrolled(shown.clone()))?;
        if let Some(given) = given.filter(|given| *given != site) {
            return Err(ConfigError::OtherSite { given, enrolled: site, path: shown });
        }
        let workload_socket = match args.workload_socket {
            Some(path) => absolute("--workload-socket", path)?,
            None => layout.workload_socket(),
        };
        Ok(Self {
            site,
            core: args.core.or(core).map(check_core).transpose()?,
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
            policy: if args.require_policy_signature { PolicyDemand::Always } else { PolicyDemand::AsRoot },
            log: args.log,
        })
    }
}

/// What the configuration takes from a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The site.
    pub site: SiteId,
    /// Where the core is, if that is known.
    pub core: Option<String>,
}

impl Enrolled {
    /// Reads the identity, or its copy. Where both are lost the store says whose it is, so that the agent starts with what it has.
    pub fn read(layout: &Layout) -> Result<Option<Self>, EnrolmentError> {
        let wrong = match Enrolment::find(layout) {
            Found::Whole(enrolment) | Found::Copy(enrolment, _) => {
                return Ok(Some(Self { site: enrolment.site().clone(), core: Some(enrolment.core) }));
            }
            Found::Nothing(wrong) => wrong,
        };
        match (Store::owner(&layout.store()), wrong) {
            (Some(site), _) => Ok(Some(Self { site, core: None })),
            (None, EnrolmentError::Gone(_)) => Ok(None),
            (None, wrong) => Err(wrong),
        }
    }
}

pub(crate) fn check_core(core: String) -> Result<String, ConfigError> {
    if is_core_url(&core) { Ok(core) } else { Err(ConfigError::NotAnAddress(core)) }
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

    fn args(site: Option<&str>, core: Option<&str>) -> RunArgs {
        RunArgs {
            site: site.map(Into::into),
            core: core.map(Into::into),
            data_dir: "/var/lib/skerry".into(),
            workloads: "/etc/skerry/workloads".into(),
            workload_socket: None,
            require_policy_signature: false,
            envoy: None,
            xds: XdsVariant::Delta,
            link: LinkMode::Stream,
            pull_interval: "30s".into(),
            stop_proxies_on_exit: false,
            log: "info".into(),
        }
    }

    fn resolve(args: RunArgs, enrolled: Option<Enrolled>) -> Result<Config, String> {
        let launcher = Launcher::beside("/bin/skerry-agent".into(), |_| true);
        Config::resolve(args, launcher, |_| Ok(enrolled)).map_err(|error| error.to_string())
    }

    fn store_1() -> Option<Enrolled> {
        let (site, core) = (SiteId::new("store-1").unwrap(), "https://core.example:7443".to_owned());
        Some(Enrolled { site, core: Some(core) })
    }

    #[test]
    fn site_and_core_are_those_of_the_enrolment() {
        let config = resolve(args(None, None), store_1()).unwrap();
        assert_eq!(
            (config.site.as_str(), config.core.as_deref()),
            ("store-1", Some("https://core.example:7443"))
        );
        let lost = store_1().map(|enrolled| Enrolled { core: None, ..enrolled });
        assert_eq!(resolve(args(None, None), lost.clone()).unwrap().core, None);
        assert!(resolve(args(None, Some("https://core.example")), lost).unwrap().core.is_some());
        let error = resolve(args(None, None), None).unwrap_err();
        assert!(error.contains("/var/lib/skerry/identity.json: this agent is not enrolled"), "{error}");
        let error = resolve(args(Some("store-2"), None), store_1()).unwrap_err();
        assert!(error.contains("is the identity of site `store-1`"), "{error}");
        for (core, is_good) in [
            ("https://127.0.0.1:7443", true),
            ("https://[::1]:7443/", true),
            ("https://core.example", true),
            ("http://127.0.0.1:7443", false),
            ("https://127.0.0.1:7443/path", false),
            ("127.0.0.1:7443", false),
            ("", false),
        ] {
            let result = resolve(args(Some("store-1"), Some(core)), store_1());
            assert_eq!(result.is_ok(), is_good, "{core}: {result:?}");
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
