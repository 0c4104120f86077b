//! From a commit to an answer of Envoy: a push with its webhook, and what the agent takes of that. The
//! fleet is that of `footprint`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::footprint::SITE;
use super::{Args, Row, footprint, runtime, world};
use crate::fleet::{Agent, Core, Workload, XdsMode};
use crate::repo::PolicyRepo;
use crate::run::Run;

/// The route that changes. Its service has the first index: the core gives them in the order of names.
const ROUTE: &str = "routes/0.yaml";
/// Commits that are measured, after one that is not.
const COMMITS: usize = 25;
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two questions: they must not take the processor from what is measured.
const PAUSE: Duration = Duration::from_micros(500);
/// What the agent says when it has read an offer.
const RECEIVED: &str = "a newer bundle is offered";

/// Measures commits of one route, each after the one before was served and reported.
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    runtime()?.block_on(run(args))
}

async fn run(args: &Args) -> Result<Vec<Row>> {
    let run = Run::new(args.binaries())?;
    let mut repo = PolicyRepo::init(run.folder())?;
    footprint::write_world(&repo)?;
    repo.write(ROUTE, &redirect("start").to_string())?;
    let revision = repo.publish("the world")?;
    let mut core = Core::new(&run, "core", &repo.url())?;
    core.start().await?;
    let client = Workload::new("shop", "client", run.net().address()).sidecar(&run.net().range());
    let mut agent = Agent::new(&run, SITE, core.address(), XdsMode::Delta)?;
    agent.add(&client)?;
    agent.start()?;
    core.settled(&revision, &[SITE], DEADLINE).await?;
    let mut samples = Vec::new();
    for version in 0..=COMMITS {
        samples.push(commit(&run, &mut repo, &core, &client, version).await?);
    }
    let (pushed, received) = samples.split_off(1).into_iter().unzip();
    Ok(vec![
        row("`git push` with webhook to served by Envoy", pushed).wanted("≤ 50 ms"),
        row("offer read by the agent to served by Envoy", received).wanted("≤ 5 ms"),
    ])
}

/// A route that Envoy answers by itself, with the version as the place to go to.
fn redirect(version: &str) -> Value {
    let mut route = world::route(0, 0);
    let to = json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": format!("/{version}")}});
    route["spec"]["rules"] = json!([{"filters": [{"type": "RequestRedirect", "requestRedirect": to}]}]);
    route
}

/// Pushes one commit; returns how long it took to be served since the push began, and since the agent had
/// read the offer.
async fn commit(
    run: &Arc<Run>,
    repo: &mut PolicyRepo,
    core: &Core,
    client: &Workload,
    version: usize,
) -> Result<(Duration, Duration)> {
    let version = format!("version-{version}");
    repo.write(ROUTE, &redirect(&version).to_string())?;
    let revision = repo.commit("one route").map(|id| format!("{}@sha1:{id}", crate::repo::BRANCH))?;
    let asked = SocketAddr::from((client.virtual_address(1).context("it has a sidecar")?, world::PORT));
    let served = tokio::task::spawn_blocking(move || await_answer(asked, &version));
    let begun = now();
    repo.push()?;
    core.notify().await?;
    let served = served.await??;
    core.settled(&revision, &[SITE], DEADLINE).await?;
    let log = fs_err::read_to_string(run.folder().join(format!("agent-{SITE}.log")))?;
    Ok((served.duration_since(begun)?, served.duration_since(last_offer(&log)?)?))
}

#[expect(clippy::disallowed_methods, reason = "compared with the times in the agent's log")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Asks again and again on one connection, until the answer names the version.
fn await_answer(at: SocketAddr, version: &str) -> Result<SystemTime> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = vec![0; 4096];
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let length = stream.read(&mut buffer)?;
        anyhow::ensure!(length > 0, "Envoy hung up");
        // A redirect has no body, so its head is all of it and comes in one piece.
        if String::from_utf8_lossy(&buffer[..length]).contains(&format!("/{version}\r\n")) {
            return Ok(now());
        }
        std::thread::sleep(PAUSE);
    }
    anyhow::bail!("{at} did not answer with {version} in time")
}

/// When the agent had read the last offer, by its log: lines begin with the time.
fn last_offer(log: &str) -> Result<SystemTime> {
    let line = log.lines().rfind(|line| line.contains(RECEIVED)).context("the agent got no offer")?;
    let at: jiff::Timestamp = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(at.into())
}

fn row(what: &str, mut times: Vec<Duration>) -> Row {
    times.sort_unstable();
    let (count, ms) = (times.len(), |at: usize| format!("{:.1}", times[at].as_secs_f64() * 1e3));
    let figure = format!("{} ms ({} to {})", ms(count / 2), ms(0), ms(count - 1));
    Row::new(format!("{what}, median of {count} (least to most)"), figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offer_is_read_from_the_log() {
        let log = "2026-01-01T00:00:00.000000Z  INFO skerry_agent: a newer bundle is offered generation=1\n\
                   2026-01-01T00:00:01.500000Z  INFO skerry_agent: a newer bundle is offered generation=2\n\
                   2026-01-01T00:00:02.000000Z  INFO skerry_agent: runs the new bundle\n";
        let at = last_offer(log).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(at.as_millis() % 60_000, 1_500);
        assert!(last_offer("nothing").is_err());
    }
}
