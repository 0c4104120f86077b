//! One line that says where and when figures were measured.

use anyhow::Result;

/// The line, as `AMD EPYC, 2 cores, 24 GiB, Linux 6.1, 2026-11-24, Skerry 0.1.0`.
pub(super) fn line() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let model = field("/proc/cpuinfo", "model name")?.unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")?.unwrap_or_default();
    let kilobytes: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let memory = kilobytes / f64::from(1 << 20);
    let system = rustix::system::uname();
    let (kernel, release) = (system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("{model}, {cores} cores, {memory:.0} GiB, {kernel} {release}, {today}, Skerry {version}"))
}

/// The value of the first line `<name> : <value>` of a file.
fn field(path: &str, name: &str) -> Result<Option<String>> {
    let text = fs_err::read_to_string(path)?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned());
    Ok(values.next())
}
