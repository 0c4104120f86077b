//! Step: the link is back, slow as a satellite's, and one round trip after the handshake brings the newest revision.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::demo::narrator::Shown;
use crate::demo::stage::{DEADLINE, REMOTE, SITES, Stage};
use crate::link::Traffic;

/// The link's delay, each way: so much longer than everything else that round trips can be counted.
const DELAY: Duration = Duration::from_millis(400);

pub(super) async fn show(stage: &mut Stage) -> Result<Shown> {
    let site = stage.site_mut(REMOTE)?;
    let before = site.link.traffic();
    site.link.set_delay(DELAY);
    let restored = Instant::now();
    site.link.restore().await;
    site.wait_for_release("sixth").await?;
    let served = Instant::now();
    let traffic = site.link.traffic().since(before);
    let connected = site.link.connected_at().context("the link was used")?;
    let line = one_round_trip(served - connected, traffic)?;
    site.link.set_delay(Duration::ZERO);
    all_agree(stage).await?;
    let waited = (connected - restored).as_secs_f64();
    Ok(Shown::new(line)
        .detail(format!("the agent came back {waited:.2} s after the link did; {}", bytes(traffic))))
}

/// Hands are shaken in one round trip (RFC 8446 §2.2: a session is resumed). Then the first word of the site needs half a
/// round trip to the core and the answer another half; had there been one more question, it would have been three in all.
fn one_round_trip(took: Duration, traffic: Traffic) -> Result<String> {
    let trip = 2 * DELAY;
    ensure!(traffic.connections == 1, "the agent connected {} times", traffic.connections);
    ensure!(
        took < 3 * trip,
        "{took:.0?} from connection to served is more than a handshake and one round trip of {trip:.0?}"
    );
    let milliseconds = took.as_millis();
    Ok(format!(
        "the link is back: a handshake and one round trip ({milliseconds} ms on a link of {} ms) and {REMOTE} is at the newest",
        trip.as_millis()
    ))
}

fn bytes(traffic: Traffic) -> String {
    format!("{} B up and {} B down on the link", traffic.up, traffic.down)
}

/// Every site reports that it runs what it shall run.
async fn all_agree(stage: &Stage) -> Result<()> {
    let revision = stage.core.fleet().await?.source().revision.clone();
    stage.core.settled(&revision, &SITES, DEADLINE).await.map(drop)
}
