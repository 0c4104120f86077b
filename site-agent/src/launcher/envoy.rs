//! Envoy's command line, and starting it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::machine::{Entry, Mode};
use super::state::{Process, start_time};
use super::{Config, log};
use crate::bind::probe;
use crate::clock::wall_ms;
use crate::layout::{ProxyDir, replace_file};
use crate::snapshot::Index;

/// How long Envoy's log may grow, looked at now and then; another one of at most that length and a minute's lines is kept.
/// Envoy writes warnings only.
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
    let bootstrap = match mode {
        Mode::Ads => config.folder.ads_bootstrap(),
        Mode::Static => start_file(&config.folder)?,
    };
    let mut command = Command::new(&config.envoy);
    command
        .args(arguments(&config.folder, epoch, &bootstrap, base, config.drain))
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

/// Finds the file that serves by itself. One address that somebody else has would stop the whole Envoy, so its listener is
/// left out: the rest is served, and the agent brings it back when it is free.
fn start_file(folder: &ProxyDir) -> std::io::Result<PathBuf> {
    let whole = folder.static_bootstrap();
    let bytes = fs_err::read(&whole)?;
    let index = fs_err::read_to_string(folder.static_index()).unwrap_or_default();
    let Some(index) = Index::read(&index, &bytes) else { return Ok(whole) };
    let (kept, left_out) = index.cut(&bytes, |listener| !probe(listener.at, listener.is_free));
    if left_out.is_empty() {
        return Ok(whole);
    }
    for at in &left_out {
        log::say(format_args!("somebody else has {at}: Envoy starts without it"));
    }
    replace_file(&folder.cut_bootstrap(), &kept)?;
    Ok(folder.cut_bootstrap())
}

/// Returns the arguments of one Envoy. Each epoch has its own admin socket: during a hot restart two
/// are alive at once.
fn arguments(folder: &ProxyDir, epoch: u32, bootstrap: &Path, base: Base, drain: Duration) -> Vec<OsString> {
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
    bound_log(folder)
}

/// Empties a log that has grown too long, and keeps what it held as `envoy.log.1`. In place, since an Envoy that runs goes
/// on writing at its end; a line that it writes at this moment may be lost.
pub(super) fn bound_log(folder: &ProxyDir) -> std::io::Result<()> {
    let log = folder.envoy_log();
    if fs_err::metadata(&log).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
        fs_err::copy(&log, log.with_extension("log.1"))?;
        fs_err::OpenOptions::new().write(true).open(&log)?.set_len(0)?;
    }
    Ok(())
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

    /// An Envoy that warns all day fills no disk, and goes on writing.
    #[test]
    fn a_long_log_is_cut_while_it_is_written() {
        use std::io::Write as _;
        let home = tempfile::tempdir().unwrap();
        let folder = ProxyDir::new(home.path());
        let mut log = fs_err::OpenOptions::new().append(true).create(true).open(folder.envoy_log()).unwrap();
        log.write_all(b"a short line\n").unwrap();
        bound_log(&folder).unwrap();
        assert_eq!(fs_err::read_to_string(folder.envoy_log()).unwrap(), "a short line\n");
        log.write_all(&vec![b'x'; usize::try_from(MAX_LOG_BYTES).unwrap()]).unwrap();
        bound_log(&folder).unwrap();
        log.write_all(b"goes on\n").unwrap();
        assert_eq!(fs_err::read_to_string(folder.envoy_log()).unwrap(), "goes on\n");
        assert!(fs_err::read(home.path().join("envoy.log.1")).unwrap().starts_with(b"a short line\nxx"));
    }

    fn line(epoch: u32, mode: Mode, base: Base) -> String {
        let folder = ProxyDir::new("/p");
        let bootstrap = match mode {
            Mode::Ads => folder.ads_bootstrap(),
            Mode::Static => folder.static_bootstrap(),
        };
        let arguments = arguments(&folder, epoch, &bootstrap, base, Duration::from_secs(5));
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
