//! Boxes whose clocks are years off: they enrol, serve, renew, and say so.

use std::process::Command;

use skerry_agent::enrolment::Enrolment;
use skerry_identity::ca::Authority as _;
use skerry_tests::fleet::Loaded;

use super::*;
use crate::asker::Asker;
use crate::place::run;

/// What the wall clock of a site shows when it boots.
const SITES: [(&str, Wall); 4] = [
    ("in-1970", Wall::At(60)),
    ("behind", Wall::Off(-TEN_YEARS)),
    ("ahead", Wall::Off(TEN_YEARS)),
    // The second after the last one that 32 bits hold.
    ("in-2038", Wall::At(1 << 31)),
];

#[derive(Debug, Clone, Copy)]
enum Wall {
    At(u64),
    Off(i64),
}

/// Enrols a box by hand, as its technician does.
fn enrol(site: &Site) -> String {
    let mut command = skerry(&site.run, site.core).expect("the core has written credentials");
    let token = command.args(["site", "enroll", site.agent.site()]).output().expect("it can be started");
    assert!(token.status.success(), "{}", String::from_utf8_lossy(&token.stderr));
    let file = site.agent.data().with_extension("token");
    fs_err::write(&file, token.stdout).expect("a file can be written");
    let mut command = Command::new(site.run.binaries().ours("skerry-agent").expect("it is built"));
    command.args(["enroll", "--core", &format!("https://{}", site.core), "--token-file"]).arg(file);
    command.arg("--data-dir").arg(site.agent.data()).envs(site.clocks.variables());
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The serial numbers of what the box has: of its authority, and of what its server's proxy shows.
async fn serials(site: &Site) -> anyhow::Result<[String; 2]> {
    let kept = Enrolment::load(&site.agent.data().join("identity.json"))?.expect("the box is enrolled");
    let shown = Loaded::newest(&site.agent.proxy(site.workload("echo"))).await?;
    Ok([kept.authority.certificate().serial().to_owned(), shown.serial])
}

/// Boots the boxes, each by its clock, and enrols them.
async fn boot(run: &Arc<Run>, core: &Core) -> Vec<Site> {
    let mut sites = Vec::new();
    for (name, wall) in SITES {
        let mut site = Site::prepare(run, core, core.address(), name, &["echo"]).await;
        match wall {
            Wall::At(seconds) => site.clocks.set_wall(seconds),
            Wall::Off(seconds) => site.clocks.step_wall(seconds),
        }
        .expect("the clock can be set");
        let words = enrol(&site);
        assert!(words.contains("the clock of this machine cannot be right"), "{name}: {words}");
        site.agent.start().expect("the agent starts");
        sites.push(site);
    }
    sites
}

#[tokio::test]
async fn boxes_whose_clocks_are_years_off_enrol_serve_renew_and_say_so() {
    let run = run();
    let (source, core_clocks) = core(&run).await;
    let sites = boot(&run, &source.core).await;
    let mut askers = Vec::new();
    for site in &sites {
        site.is_strict("echo").await;
        askers.push(Asker::start(site.service("echo")));
        site.shows("ClockSuspect: ").await;
        site.is_shown_with("ClockSuspect: ").await;
    }

    // A third of everything is over.
    core_clocks.pass(9 * HOUR).expect("the clocks can be moved");
    for site in &sites {
        let before = serials(site).await.expect("it has certificates");
        site.moves(|clocks| clocks.pass(9 * HOUR)).await;
        let renewed = async || {
            let now = serials(site).await?;
            anyhow::ensure!(now[0] != before[0] && now[1] != before[1], "{now:?}\n{}", site.agent.log());
            Ok(())
        };
        let what = format!("{} renews its authority and what is below it", site.agent.site());
        eventually(&what, DEADLINE, renewed).await.expect("it is renewed");
    }

    // Somebody sets the clocks.
    for site in &sites {
        site.moves(|clocks| clocks.set_wall(core_clocks.wall()?)).await;
        let well = async || source.core.fleet().await?.must_be_current(site.agent.site());
        eventually("nothing is wrong any more", DEADLINE, well).await.expect("dates count again");
        site.is_strict("echo").await;
    }
    for asker in askers {
        asker.stop().await;
    }
}
