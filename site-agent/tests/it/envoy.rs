//! Where Envoy is, and what its admin interface says.

use std::path::{Path, PathBuf};

use crate::eventually::eventually;
use crate::http::ask_socket;

/// Finds Envoy: `$ENVOY`, else what `cargo xtask envoy` fetched. `None` skips the case, with a word.
#[expect(clippy::disallowed_methods, reason = "the tests' one look at the environment")]
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(given) = std::env::var("ENVOY").ok().filter(|path| !path.is_empty()) {
        return Some(given.into());
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let folders = fs_err::read_dir(tools).into_iter().flatten().flatten();
    let found = folders.map(|folder| folder.path().join("envoy")).find(|path| path.is_file());
    if found.is_none() {
        let _unheard = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: no Envoy (set $ENVOY, or run `cargo xtask envoy`)\n",
        );
    }
    found
}

/// Reads one counter or gauge.
pub(crate) async fn stat(admin: &Path, name: &str) -> Option<u64> {
    let answer = ask_socket(admin, "GET", &format!("/stats?filter=^{name}$")).await.ok()?;
    answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok())
}

/// How often each kind of resource was taken over, and which version of it runs.
pub(crate) async fn updates(admin: &Path) -> String {
    let filter = r"/stats?filter=(cds|lds|rds).*(update_success|version|update_rejected)$|^cluster\..*\.update_success$|listener_manager\.listener_(added|modified|removed)$|cluster_manager\.cluster_(added|modified|removed|updated)$";
    ask_socket(admin, "GET", filter).await.map(|answer| answer.body).unwrap_or_default()
}

/// Waits until an ADS stream is open.
pub(crate) async fn await_connected(admin: &Path) {
    eventually("Envoy is connected to the agent", async || {
        (stat(admin, "control_plane.connected_state").await == Some(1)).then_some(())
    })
    .await;
}
