//! Envoy's command line, and starting it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Config;
use super::machine::{Entry, Mode};
use super::state::{Process, start_time};
use crate::clock::wall_ms;
use crate::layout::ProxyDir;

/// The longest log that a start leaves in place: Envoy writes warnings only.
const MAX_LOG_BYTES: u64 = 4 << 20;

/// Which base id an Envoy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// A free one of its choice, written to the proxy's folder.
    Free,
    /// The one of the Envoy that it takes over from.
    Of(u32),
}

/// Starts Envoy in a process group of its own, so that a Ctrl-C meant for the launcher lets it drain.
pub(super) fn spawn(
    config: &Config,
    epoch: u32,
    mode: Mode,
    entry: Entry,
) -> std::io::Result<(Child, Process)> {
    let base = match entry {
        Entry::HotRestart => Base::Of(read_base_id(&config.folder)?),
        Entry::Alone | Entry::Beside => Base::Free,
    };
    prepare_folder(&config.folder, epoch, base)?;
    let mut command = Command::new(&config.envoy);
    command
        .args(arguments(&config.folder, epoch, mode, base, config.drain))
        .current_dir(config.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    let started = start_time(pid).unwrap_or_default();
    Ok((child, Process { pid, started, epoch, mode, since_ms: wall_ms() }))
}

/// Returns the arguments of one Envoy. Each epoch has its own admin socket: during a hot restart two
/// are alive at once.
fn arguments(folder: &ProxyDir, epoch: u32, mode: Mode, base: Base, drain: Duration) -> Vec<OsString> {
    let bootstrap = match mode {
        Mode::Ads => folder.ads_bootstrap(),
        Mode::Static => folder.static_bootstrap(),
    };
    let text = |text: &str| OsString::from(text);
    let mut arguments = vec![
        text("--config-path"),
        bootstrap.into(),
        text("--config-yaml"),
        text(&admin_yaml(&folder.admin_socket(epoch))),
        text("--restart-epoch"),
        text(&if base == Base::Free { 0 } else { epoch }.to_string()),
    ];
    match base {
        Base::Free => {
            arguments.extend([
                text("--use-dynamic-base-id"),
                text("--base-id-path"),
                folder.base_id().into(),
            ]);
        }
        Base::Of(id) => arguments.extend([text("--base-id"), text(&id.to_string())]),
    }
    let drain = drain.as_secs().max(1);
    let seconds = [("--drain-time-s", drain), ("--parent-shutdown-time-s", drain + 1)];
    arguments.extend(seconds.iter().flat_map(|(name, value)| [text(name), text(&value.to_string())]));
    arguments.extend(["--log-level", "warning", "--log-path"].map(text));
    arguments.push(folder.envoy_log().into());
    arguments
}

/// The admin interface, merged over the bootstrap: a socket that only the owner may use.
fn admin_yaml(socket: &Path) -> String {
    let path = serde_json::Value::from(socket.to_string_lossy());
    format!("{{admin: {{address: {{pipe: {{path: {path}, mode: 384}}}}}}}}")
}

fn read_base_id(folder: &ProxyDir) -> std::io::Result<u32> {
    let text = fs_err::read_to_string(folder.base_id())?;
    text.trim().parse().map_err(std::io::Error::other)
}

/// Removes what an earlier Envoy of this epoch left, and a log that grew too long.
fn prepare_folder(folder: &ProxyDir, epoch: u32, base: Base) -> std::io::Result<()> {
    if base == Base::Free {
        clear(folder)?;
    }
    remove(&folder.admin_socket(epoch))?;
    let is_long = fs_err::metadata(folder.envoy_log()).is_ok_and(|log| log.len() > MAX_LOG_BYTES);
    if is_long { remove(&folder.envoy_log()) } else { Ok(()) }
}

/// Removes what the last Envoy of a chain leaves: its base id, and the shared memory of that name
/// (Envoy multiplies the id by ten), which would pile up otherwise. One of the chain that is alive keeps what it has
/// of it, and can have no successor.
pub(super) fn clear(folder: &ProxyDir) -> std::io::Result<()> {
    if let Ok(id) = read_base_id(folder) {
        remove(Path::new(&shared_memory(id)))?;
    }
    remove(&folder.base_id())
}

fn shared_memory(base_id: u32) -> String {
    format!("/dev/shm/envoy_shared_memory_{}", u64::from(base_id) * 10)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: u32, mode: Mode, base: Base) -> String {
        let arguments = arguments(&ProxyDir::new("/p"), epoch, mode, base, Duration::from_secs(5));
        arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_first_start_takes_a_free_base_id() {
        assert_eq!(
            line(0, Mode::Static, Base::Free),
            "--config-path /p/static.pb --config-yaml {admin: {address: {pipe: {path: \"/p/admin.0.sock\", mode: 384}}}} \
             --restart-epoch 0 --use-dynamic-base-id --base-id-path /p/base-id --drain-time-s 5 \
             --parent-shutdown-time-s 6 --log-level warning --log-path /p/envoy.log"
        );
    }

    #[test]
    fn one_that_starts_beside_another_has_a_socket_and_a_base_id_of_its_own() {
        let line = line(1, Mode::Ads, Base::Free);
        assert!(line.contains("/p/admin.1.sock"), "{line}");
        assert!(line.contains("--restart-epoch 0 --use-dynamic-base-id "), "{line}");
    }

    #[test]
    fn a_hot_restart_takes_the_base_id_of_the_one_before() {
        let line = line(3, Mode::Ads, Base::Of(17));
        assert!(line.starts_with("--config-path /p/ads.pb "), "{line}");
        assert!(line.contains("/p/admin.3.sock"), "{line}");
        assert!(line.contains("--restart-epoch 3 --base-id 17 "), "{line}");
    }
}
