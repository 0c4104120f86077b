//! Step: one push with a mistake in one file and a good change in another.

use anyhow::{Context as _, Result, ensure};

use super::short;
use crate::demo::narrator::Shown;
use crate::demo::stage::{DEADLINE, OVERRIDDEN, SITES, Stage};

/// The file with the mistake.
const POLICY: &str = "shop/checkout-policy.yaml";
/// What is wrong in it.
const MISTAKE: (&str, &str) = ("request: 3s", "request: soon");

pub(super) async fn show(stage: &mut Stage) -> Result<Shown> {
    let line = 1 + stage
        .repo
        .read(POLICY)?
        .lines()
        .position(|line| line.contains(MISTAKE.0))
        .context("the policy is known")?;
    stage.repo.replace(POLICY, MISTAKE.0, MISTAKE.1)?;
    stage.set_release("split", "despite")?;
    let revision = stage.publish("shop: a mistake and a good change").await?;
    let others: Vec<&str> = SITES.into_iter().filter(|site| *site != OVERRIDDEN).collect();
    stage.wait_for_release("despite", &others).await?;
    let refused = find_diagnostic(stage, &revision, u32::try_from(line)?).await?;
    old_policy_holds(stage).await?;
    let told =
        format!("{}: refused at {POLICY}:{line}; the rest of the same push is served", short(&revision));
    Ok(Shown::new(told).detail(refused).detail("retries go on as the last good version of that policy says"))
}

/// Asks the core for the diagnostic, as `skerry status` does.
async fn find_diagnostic(stage: &Stage, revision: &str, line: u32) -> Result<String> {
    let view = stage.core.compiled(revision, DEADLINE).await?;
    let error = view
        .diagnostics()
        .iter()
        .find(|diagnostic| diagnostic.file == POLICY && diagnostic.severity == "error");
    let error =
        error.with_context(|| format!("the core shows no error in {POLICY}: {:?}", view.diagnostics()))?;
    ensure!(error.line == line, "the error is said to be in line {}, not {line}", error.line);
    ensure!(!error.help.is_empty(), "the error has no help line");
    Ok(format!("{}:{}: {}: {} (help: {})", error.file, error.line, error.field, error.message, error.help))
}

/// The policy that is now unreadable asked for retries: a request whose first try fails is still answered.
async fn old_policy_holds(stage: &Stage) -> Result<()> {
    for site in &stage.sites {
        let answer = site.ask("/?fail=1&key=bad-commit").await?;
        ensure!(answer.attempt > 1, "{} made no second try: {answer:?}", site.name);
    }
    Ok(())
}
