//! What the proxies' authorization counted: asked of each Envoy now and then, and told to the site. Decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use skerry_core::id::NamespacedName;
use skerry_xds::audit::{Counts, QUERY, read};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::launcher::{LauncherState, ask};
use crate::layout::ProxyDir;
use crate::mailbox::{self, Mail};
use crate::site::Feed;

/// How often Envoys are asked: it costs each of them some milliseconds.
const EVERY: Duration = Duration::from_secs(15);

/// Asks until the agent ends.
pub(crate) async fn run(
    feeds: watch::Receiver<BTreeMap<NamespacedName, Feed>>,
    mailbox: mailbox::Sender,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut told = Counts::default();
    while cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let folders: Vec<ProxyDir> = feeds.borrow().values().map(|feed| feed.folder.clone()).collect();
        let counts = tokio::task::spawn_blocking(move || count(&folders)).await?;
        if counts != told {
            mailbox.send(Mail::Counted(counts.clone())).await?;
            told = counts;
        }
    }
    Ok(())
}

/// Adds up what the newest Envoy of each proxy counted; one that does not answer counts as nothing.
fn count(folders: &[ProxyDir]) -> Counts {
    let mut counts = Counts::default();
    for folder in folders {
        let state = LauncherState::load(&folder.state());
        let Some(newest) = state.processes.first().filter(|process| process.is_alive()) else { continue };
        let answer = ask(&folder.admin_socket(newest.epoch), QUERY);
        counts.add(read(&answer.unwrap_or_default()));
    }
    counts
}
