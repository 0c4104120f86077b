//! Steps: a site without a link serves on while commits pass by, and still does after all of it was killed.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::short;
use crate::demo::narrator::Shown;
use crate::demo::prober::Prober;
use crate::demo::stage::{DEADLINE, REMOTE, Stage};
use crate::process::is_alive;
use crate::wait::eventually;

/// Commits pass by the site that is cut off.
pub(super) async fn commits_pass(stage: &mut Stage) -> Result<Shown> {
    let prober = Prober::start(stage.site(REMOTE)?.checkout);
    stage.site_mut(REMOTE)?.link.cut().await;
    stage.set_release("despite", "fifth")?;
    stage.publish("shop: the fifth release").await?;
    stage.wait_for_release("fifth", &["oslo"]).await?;
    stage.set_release("fifth", "sixth")?;
    let newest = stage.publish("shop: the sixth release").await?;
    stage.wait_for_release("sixth", &["oslo"]).await?;
    wait_until_dark(stage).await?;
    let answer = stage.site(REMOTE)?.ask("/").await?;
    ensure!(answer.release == "despite", "{REMOTE} sees release {} without a link", answer.release);
    let answered = prober.stop()?;
    let line = format!("{REMOTE} is cut off; two commits pass ({} at oslo), it serves on", short(&newest));
    Ok(Shown::new(line).detail(format!(
        "{answered} requests at {REMOTE} meanwhile, none failed; the core shows it as not connected"
    )))
}

async fn wait_until_dark(stage: &Stage) -> Result<()> {
    eventually("the core notices the cut", DEADLINE, async || {
        let view = stage.core.fleet().await?;
        ensure!(!view.site(REMOTE)?.connected, "{REMOTE} still counts as connected");
        Ok(())
    })
    .await
}

/// The agent and its Envoys are killed and started again, with the core out of reach.
pub(super) async fn start_anew(stage: &mut Stage) -> Result<Shown> {
    let site = stage.site_mut(REMOTE)?;
    let before: Vec<u32> = site.agent.envoys().iter().map(|envoy| envoy.id).collect();
    ensure!(before.len() == 2, "{REMOTE} has {} Envoys, not two", before.len());
    site.agent.kill().await?;
    site.agent.kill_data_plane()?;
    let gone = async || {
        ensure!(!before.iter().any(|id| is_alive(*id)), "an Envoy is still there");
        Ok(())
    };
    eventually("the Envoys are gone", DEADLINE, gone).await?;
    ensure!(site.ask("/").await.is_err(), "somebody answers at {REMOTE}, though every Envoy was killed");
    let start = Instant::now();
    site.agent.start()?;
    site.wait_for_release("despite").await?;
    let took = start.elapsed();
    let line =
        format!("agent and Envoys of {REMOTE} are killed and start anew, core out of reach: it serves");
    Ok(Shown::new(line).detail(format!(
        "{:.2} s from the agent's start to the first answer, from what was on its disk",
        took.as_secs_f64()
    )))
}
