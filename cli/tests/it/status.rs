//! `skerry status` and `skerry source`, against a core in this process.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use skerry_core::bundle::v1::SignatureCheck;
use skerry_proto::v1::astray;
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{
    Astray, Claimant, Diagnostic, Enrolled, EventRow, FleetStatus, ProxyState, SiteEvent, SiteState,
    SiteSummary, SourceStatus, Stranger, TurnedAway,
};
use tonic::Status;

use crate::core::{Core, Known, NOW, Papers, ago, revision, source};
use crate::folder::Folder;
use crate::run::{Ran, command, skerry};

fn proxy(phase: Phase) -> ProxyState {
    ProxyState { workload: "shop/web-1".to_owned(), phase: phase.into(), ..ProxyState::default() }
}

/// A site that runs what it shall run, and said so 12 s ago.
pub(crate) fn site(name: &str, phases: &[Phase]) -> SiteSummary {
    let proxies = phases.iter().copied().map(proxy).collect();
    let state = SiteState {
        manifest: vec![7],
        epoch: 1,
        generation: 7,
        revision: revision('a'),
        proxies,
        ..SiteState::default()
    };
    SiteSummary {
        site: name.to_owned(),
        labels: [("tier".to_owned(), "retail".to_owned())].into(),
        desired: vec![7],
        desired_generation: 7,
        desired_revision: revision('a'),
        connected: true,
        last_seen_ms: ago(2),
        received_at_ms: ago(12),
        observed_at_ms: ago(12),
        state: Some(state),
        stale_after_seconds: 300,
        ..SiteSummary::default()
    }
}

fn diagnostic(line: u32) -> Diagnostic {
    Diagnostic {
        file: "shop/reviews.yaml".to_owned(),
        line,
        column: 9,
        severity: "error".to_owned(),
        code: "DanglingReference".to_owned(),
        object: "HTTPRoute shop/reviews".to_owned(),
        field: "spec.rules[0].backendRefs[0].name".to_owned(),
        message: "Service shop/reviews-v9 is not in the policy".to_owned(),
        help: "add the Service".to_owned(),
    }
}

/// A source that asks for signatures, and holds a head for one.
fn signed_fleet() -> FleetStatus {
    let source = SourceStatus {
        held_revision: revision('c'),
        held_reason: "the commit is signed by SSH key SHA256:x\x1b[2J, which is no allowed signer's"
            .to_owned(),
        held_help: "add the key to `spec.verify`".to_owned(),
        signature: SignatureCheck::Verified.into(),
        signer: "ada@example.org".to_owned(),
        ..source()
    };
    let signed = |name, check: SignatureCheck, signer: &str| {
        let desired_signer = signer.to_owned();
        SiteSummary { desired_signature: check.into(), desired_signer, ..site(name, &[Phase::Ready]) }
    };
    let sites = vec![
        signed("a-verified", SignatureCheck::Verified, "ada@example.org"),
        signed("b-unsigned", SignatureCheck::Unsigned, ""),
        signed("c-untrusted", SignatureCheck::Untrusted, ""),
        signed("d-unchecked", SignatureCheck::None, ""),
    ];
    FleetStatus { source: Some(source), sites, now_ms: NOW, ..FleetStatus::default() }
}

/// A confirmation is not offered where none helps.
#[test]
fn who_vouches_for_what_and_what_a_head_waits_for() {
    let core = Core::knowing(Known { fleet: signed_fleet(), ..Known::default() });
    let status = ask(&core, &["status"]);
    assert!(!status.stdout.contains("source confirm"), "{status}");
    insta::assert_snapshot!(status);
    insta::assert_snapshot!("who_vouches_for_what_json", ask(&core, &["status", "-o", "json"]));
    let untrusted = SourceStatus {
        signature: SignatureCheck::Untrusted.into(),
        signature_detail: "the commit is signed by a stranger".to_owned(),
        ..source()
    };
    let fleet = FleetStatus { source: Some(untrusted), now_ms: NOW, ..FleetStatus::default() };
    insta::assert_snapshot!(
        "an_untrusted_revision_in_force",
        ask(&Core::knowing(Known { fleet, ..Known::default() }), &["source", "get"])
    );
}

/// It is connected, and runs what it shall run by its last word: nothing else tells that it never gets anything new.
#[test]
fn a_site_that_cannot_get_on_by_itself_is_shown_with_what_to_do() {
    let row = |name: &str, kind: astray::Kind, revoked_at_ms| {
        let astray = Astray { kind: kind.into(), at_ms: ago(60), site_version: 3, core_version: 2 };
        let (enrolled_at_ms, authority_until_ms) = (ago(9_000), NOW + 86_400_000);
        let astray = Some(astray);
        let enrolled =
            Enrolled { enrolled_at_ms, revoked_at_ms, authority_until_ms, astray, ..Enrolled::default() };
        SiteSummary { enrolled: Some(enrolled), ..site(name, &[Phase::Ready]) }
    };
    let sites = vec![
        row("a-other", astray::Kind::OtherRoot, 0),
        row("b-newer", astray::Kind::NewerRoot, 0),
        row("c-left", astray::Kind::LeftBehind, 0),
        row("d-revoked", astray::Kind::OtherRoot, ago(9)),
    ];
    let fleet = FleetStatus { source: Some(source()), sites, now_ms: NOW, ..FleetStatus::default() };
    insta::assert_snapshot!(ask(&Core::knowing(Known { fleet, ..Known::default() }), &["status"]));
}

/// One site for each state.
fn sites() -> Vec<SiteSummary> {
    let behind = SiteSummary {
        desired: vec![8],
        desired_generation: 8,
        desired_revision: revision('b'),
        ..site("c-behind", &[Phase::Ready])
    };
    // It made its last report two hours before its link broke.
    let dark = SiteSummary {
        connected: false,
        last_seen_ms: ago(93_600),
        received_at_ms: ago(93_600),
        observed_at_ms: ago(100_800),
        ..site("d-dark", &[Phase::Ready])
    };
    let well = site("a-well", &[Phase::Ready, Phase::Ready]);
    let refused = site("b-refused", &[Phase::Ready, Phase::Refused]);
    vec![well, refused, behind, dark, never_seen(), site("f-snapshot", &[Phase::Detached])]
}

fn never_seen() -> SiteSummary {
    let (connected, state) = (false, None);
    SiteSummary {
        connected,
        state,
        last_seen_ms: 0,
        received_at_ms: 0,
        observed_at_ms: 0,
        ..site("e-never", &[])
    }
}

fn fleet() -> FleetStatus {
    let source = SourceStatus {
        error: "cannot reach git.example: no route to host".to_owned(),
        error_help: "sites go on with what they have".to_owned(),
        held_revision: revision('c'),
        held_reason: "the branch was rewritten".to_owned(),
        fetched_at_ms: ago(640),
        diagnostics: (1..=7).map(diagnostic).collect(),
        errors: 7,
        warnings: 1,
        foreign: [("Kustomization".to_owned(), 3)].into(),
        ..source()
    };
    FleetStatus { source: Some(source), sites: sites(), now_ms: NOW, ..FleetStatus::default() }
}

fn ask(core: &Core, args: &[&str]) -> Ran {
    let ran = skerry(Folder::empty().path(), &[args, &core.arguments()].concat());
    Ran { stderr: ran.stderr.replace(&format!("https://{}", core.address()), "<core>"), ..ran }
}

fn core() -> Core {
    Core::knowing(Known { fleet: fleet(), ..Known::default() })
}

/// Invariant 10: every figure has its age, and a dark site is not green.
#[test]
fn the_fleet_at_a_glance() {
    insta::assert_snapshot!(ask(&core(), &["status"]));
}

#[test]
fn the_fleet_for_programs() {
    insta::assert_snapshot!(ask(&core(), &["status", "-o", "json"]));
    let yaml = ask(&core(), &["status", "-o", "yaml"]);
    assert!(yaml.stdout.contains("site: d-dark\n  state: Unknown\n"), "{yaml}");
}

fn refusal(kind: Kind, generation: u64, seconds: u64, detail: &str) -> EventRow {
    let (revision, detail) = (revision('b'), detail.to_owned());
    let event = SiteEvent { kind: kind.into(), generation, revision, detail };
    EventRow { seq: 3, observed_at_ms: ago(seconds), received_at_ms: ago(2), event: Some(event) }
}

/// Sites that need a look, one for each reason.
fn troubled() -> Vec<SiteSummary> {
    let newer = |name| SiteSummary { desired: vec![8], desired_generation: 8, ..site(name, &[Phase::Ready]) };
    let words = "proxy shop/web-1 refused it:\n  cannot bind\x1b[2J";
    let open = vec![
        refusal(Kind::RolledBack, 8, 90, words),
        refusal(Kind::BundleRefused, 7, 7_200, &"long ".repeat(60)),
    ];
    let rolled_back = SiteSummary { open, open_older: 2, ..newer("a-rolled-back") };
    let agent = |digit, address: &str| Claimant {
        boot: vec![digit; 12],
        peer: address.to_owned(),
        first_seen_ms: ago(400),
        last_seen_ms: ago(4),
    };
    let twice = SiteSummary {
        agent: Some(agent(1, "10.0.0.1:4000")),
        rival: Some(Claimant { first_seen_ms: ago(60), ..agent(2, "10.0.0.2:4000") }),
        ..site("b-two-agents", &[Phase::Ready])
    };
    let silent = SiteSummary { last_seen_ms: ago(900), ..site("c-half-open", &[Phase::Ready]) };
    let old = SiteSummary {
        observed_at_ms: ago(7_200),
        received_at_ms: ago(5),
        ..site("d-old-report", &[Phase::Ready])
    };
    let clock = SiteSummary { clock_ahead_ms: 315_360_000_000, ..site("e-clock", &[Phase::Ready]) };
    let future = SiteSummary { received_at_ms: NOW + 60_000, ..site("f-from-the-future", &[Phase::Ready]) };
    let mut full = site("g-full", &[Phase::Absent]);
    if let Some(state) = &mut full.state {
        state.events_dropped = 7;
        state.workload_problems = vec!["web.yaml:4:3: error[UnknownField]: spec.prots".to_owned()];
    }
    let pulls = SiteSummary { connected: false, pulls: true, ..site("h-pulls", &[Phase::Ready]) };
    let too_old = TurnedAway {
        peer: "10.0.0.3:4000".to_owned(),
        reason: "the agent speaks protocol 1, and this core 2 to 3: upgrade the agent".to_owned(),
        last_seen_ms: ago(7),
    };
    let turned_away = Some(too_old);
    let too_old = SiteSummary { turned_away, site: "i-too-old".to_owned(), ..never_seen() };
    vec![rolled_back, twice, silent, old, clock, future, full, pulls, too_old]
}

/// Invariant 10: what is not known is not green, and says why; and what was refused is where people look, once each.
#[test]
fn a_fleet_that_needs_a_look() {
    let fleet =
        FleetStatus { sites: troubled(), source: Some(source()), now_ms: NOW, ..FleetStatus::default() };
    let core = Core::knowing(Known { fleet, ..Known::default() });
    let ran = ask(&core, &["status"]);
    assert_eq!(ran.stdout.matches("refused it").count(), 1, "{ran}");
    insta::assert_snapshot!(ran);
    insta::assert_snapshot!("a_fleet_that_needs_a_look_json", ask(&core, &["status", "-o", "json"]));
}

#[test]
fn more_problems_than_a_screen_holds_are_counted() {
    let sites = (100..130).map(|number| {
        let open = vec![refusal(Kind::RolledBack, 8, 90, "no")];
        SiteSummary { open, ..site(&format!("s{number}"), &[Phase::Ready]) }
    });
    let fleet = FleetStatus { sites: sites.collect(), now_ms: NOW, ..FleetStatus::default() };
    let ran = ask(&Core::knowing(Known { fleet, ..Known::default() }), &["status"]);
    assert_eq!(ran.stdout.matches("RolledBack").count(), 20, "{ran}");
    assert!(ran.stdout.ends_with("  … and 10 more: skerry site describe SITE\n"), "{ran}");
}

/// Invariant 10: in JSON, too, every figure of a site has its time, and what never was has none.
#[test]
fn invariant_10_every_row_says_when_it_was_observed() {
    let sites = [sites(), troubled()].concat();
    let fleet = FleetStatus { sites, now_ms: NOW, ..FleetStatus::default() };
    let core = Core::knowing(Known { fleet, ..Known::default() });
    let view: serde_json::Value =
        serde_json::from_str(&ask(&core, &["status", "-o", "json"]).stdout).unwrap();
    let is_time =
        |moment: &serde_json::Value| moment["at"].as_str().is_some_and(|at| !at.starts_with("1970"));
    for site in view["sites"].as_array().unwrap() {
        let is_known = site["state"] != "NeverSeen";
        assert_eq!(is_time(&site["lastSeen"]), is_known, "{site}");
        assert_eq!(site["running"].is_object(), is_known, "{site}");
        let problems = site["problems"].as_array().unwrap();
        for row in problems.iter().chain(is_known.then_some(&site["running"])) {
            assert!(is_time(&row["observed"]) && is_time(&row["received"]), "{row}");
        }
    }
    assert!(!view.to_string().contains("1970-"), "no time is not the year 1970");
}

#[test]
fn colour_tells_the_states_apart() {
    let ran = ask(&core(), &["status", "--color", "always"]);
    let line = |site: &str| ran.stdout.lines().find(|line| line.contains(site)).unwrap().to_owned();
    assert!(
        line("a-well").contains("\x1b[38;5;2m") && !line("d-dark").contains("\x1b[38;5;2m"),
        "{}",
        ran.stdout
    );
}

#[test]
fn all_pages_are_asked_for() {
    let core = core();
    assert_eq!(ask(&core, &["status", "-l", "tier=retail"]).stdout.matches("\na-well").count(), 1);
    let expected = [
        "fleet `tier=retail` after ``",
        "fleet `tier=retail` after `b-refused`",
        "fleet `tier=retail` after `d-dark`",
    ];
    assert_eq!(core.asked(), expected);
}

#[test]
fn a_fleet_without_anything() {
    let fleet = FleetStatus { now_ms: NOW, ..FleetStatus::default() };
    insta::assert_snapshot!(ask(&Core::knowing(Known { fleet, ..Known::default() }), &["status"]));
}

#[test]
fn a_selector_that_is_none() {
    let core = core();
    insta::assert_snapshot!(ask(&core, &["status", "-l", "tier in retail"]));
    assert!(core.asked().is_empty());
}

#[test]
fn watching_shows_it_again_and_again() {
    let core = core();
    let folder = Folder::empty();
    let mut watch = command(folder.path());
    watch.args(["status", "--watch", "--interval", "1", "-o", "json"]).args(core.arguments());
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let (send, receive) = mpsc::channel();
    let output = BufReader::new(watch.stdout.take().unwrap());
    let reader =
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let lines: Vec<_> = (0..2).map(|_| receive.recv_timeout(Duration::from_secs(120))).collect();
    watch.kill().unwrap();
    watch.wait().unwrap();
    drop(receive);
    reader.join().unwrap().ok();
    for line in lines {
        let view: serde_json::Value = serde_json::from_str(&line.expect("a second look")).unwrap();
        assert_eq!(view["sites"].as_array().unwrap().len(), 6);
    }
}

#[test]
fn a_core_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let papers = Papers::new(&url);
    let ran = skerry(Folder::empty().path(), &[&["status"][..], &papers.arguments()].concat());
    insta::assert_snapshot!(ran.to_string().replace(&url, "<core>"));
}

#[test]
fn the_core_may_come_from_the_environment() {
    let core = core();
    let folder = Folder::empty();
    let output = command(folder.path())
        .args(["source", "get"])
        .env("SKERRY_CREDENTIALS", core.credentials())
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn credentials_that_others_may_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let core = core();
    let status =
        || skerry(Folder::empty().path(), &["status", "--credentials", core.credentials().to_str().unwrap()]);
    for (mode, is_taken) in [(0o600, true), (0o640, false), (0o604, false), (0o400, true)] {
        fs_err::set_permissions(core.credentials(), std::fs::Permissions::from_mode(mode)).unwrap();
        let ran = status().to_string();
        assert_eq!(!ran.contains("may be read by others"), is_taken, "{ran}");
        let words = format!("may be read by others (mode {mode:o})\nhelp: chmod 600 it");
        assert!(is_taken || ran.contains(&words), "{ran}");
    }
}

#[test]
fn a_core_that_refuses() {
    let refusals = [
        Status::permission_denied("this is not for you"),
        Status::unimplemented(""),
        Status::unavailable("the core has not read its policy source yet"),
        Status::deadline_exceeded(""),
        Status::internal(""),
    ];
    let shown = refusals.map(|refusal| {
        let core = Core::knowing(Known { refusal: Some(refusal), ..Known::default() });
        ask(&core, &["status"]).to_string()
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn the_source_with_all_its_diagnostics() {
    insta::assert_snapshot!(ask(&core(), &["source", "get"]));
}

#[test]
fn a_held_revision_is_confirmed_by_its_hash() {
    let core = core();
    let confirmed = ask(&core, &["source", "confirm", "ccccccc"]);
    assert_eq!(
        confirmed.to_string(),
        format!("exit code: 0\n--- standard output\nconfirmed {}\n", revision('c'))
    );
    assert_eq!(core.asked().last(), Some(&format!("confirm `{}`", revision('c'))));
}

#[test]
fn the_revision_in_force_is_confirmed_for_sites_that_refused_it() {
    let mut fleet = fleet();
    fleet.sites.last_mut().unwrap().open =
        vec![refusal(Kind::BundleRefused, 7, 90, "it takes 7 of 9 services")];
    let core = Core::knowing(Known { fleet, ..Known::default() });
    let confirmed = ask(&core, &["source", "confirm", &revision('a')]);
    assert!(confirmed.to_string().contains(&format!("confirmed {}\n", revision('a'))), "{confirmed}");
}

#[test]
fn what_names_no_revision_is_not_asked_for() {
    let core = core();
    insta::assert_snapshot!(ask(&core, &["source", "confirm", "abc"]));
    assert!(core.asked().is_empty());
}

#[test]
fn another_revision_is_not_confirmed() {
    let core = core();
    let other = ask(&core, &["source", "confirm", "bbbbbbb"]);
    let fleet = FleetStatus { source: Some(source()), now_ms: NOW, ..FleetStatus::default() };
    let nothing_held = Core::knowing(Known { fleet, ..Known::default() });
    let nothing = ask(&nothing_held, &["source", "confirm", "ccccccc"]);
    insta::assert_snapshot!(format!("{other}\n{nothing}"));
    assert!(core.asked().iter().all(|question| question.starts_with("fleet")));
}

/// A confirmation of what is in force is told to every site, on metered links too: not for a habit.
#[test]
fn where_nothing_waits_a_confirmation_does_nothing() {
    let fleet = FleetStatus {
        source: Some(source()),
        sites: vec![site("a-well", &[Phase::Ready]), never_seen()],
        now_ms: NOW,
        ..FleetStatus::default()
    };
    let core = Core::knowing(Known { fleet, ..Known::default() });
    let ran = ask(&core, &["source", "confirm", "aaaaaaa"]);
    let words = format!(
        "nothing waits for a confirmation: {} is in force, and no site has refused anything of it\n",
        revision('a')
    );
    assert_eq!((ran.code, ran.stdout), (0, words));
    assert!(core.asked().iter().all(|question| question.starts_with("fleet")), "{:?}", core.asked());
}

/// What answers is another program, or the other port of the core.
#[test]
fn what_is_no_core_is_told_from_one_that_refuses() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in other.incoming() {
            use std::io::{Read as _, Write as _};
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // As long as the client is there.
            let _ = connection.read_to_end(&mut Vec::new());
        }
    });
    let (folder, papers) = (Folder::empty(), Papers::new("https://127.0.0.1:9"));
    let status =
        |url: &str| skerry(folder.path(), &[&["status", "--core", url][..], &papers.arguments()].concat());
    let ran = status(&url);
    assert_eq!(
        ran.to_string(),
        format!(
            "exit code: 5\n--- standard error\nerror: what answers at {url} is no core\n\
             help: name the address of `skerry-controller --listen`; that of `--webhook-listen` is for push notifications\n"
        )
    );
    for (url, code) in
        [("https://127.0.0.1:9/path", 2), ("https://127.0.0.1:9/?a=b", 2), ("https://127.0.0.1:9/", 5)]
    {
        assert_eq!(status(url).code, code, "{url}");
    }
}

/// An agent with a mistyped site, or one whose site is gone: else its log alone would know.
#[test]
fn agents_of_sites_that_are_not_in_the_policy_are_shown() {
    let stranger =
        Stranger { site: "bergen".to_owned(), peer: "192.0.2.7:5000".to_owned(), last_seen_ms: ago(12) };
    let refused =
        SiteSummary { open: vec![refusal(Kind::BundleRefused, 7, 90, "no")], state: None, ..site("a", &[]) };
    let fleet = FleetStatus {
        source: Some(SourceStatus { compiled_at_ms: 0, ..source() }),
        sites: vec![refused],
        strangers: vec![stranger],
        now_ms: NOW,
        ..FleetStatus::default()
    };
    let core = Core::knowing(Known { fleet, ..Known::default() });
    let json = ask(&core, &["status", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["strangers"][0]["site"], json["strangers"].as_array().unwrap().len()),
        (&"bergen".into(), 1)
    );
    insta::assert_snapshot!(ask(&core, &["status"]));
}
