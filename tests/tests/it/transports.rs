//! How a core learns of commits, and a site of bundles, in the ways that the other tests do not take: a repository that is
//! asked for news, https, and an agent that pulls.

use skerry_tests::fleet::{Core, FleetView, XdsMode};
use skerry_tests::git_http::{Authority, GitHttp};
use skerry_tests::http::Request;
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, policies, run};

/// A repository with the policy of one site.
fn repository(run: &Run) -> PolicyRepo {
    let repo = PolicyRepo::init(run.folder()).expect("a repository can be made");
    repo.copy_from(&policies()).expect("the fixture is there");
    repo
}

#[tokio::test]
async fn a_source_without_a_webhook_is_asked_for_news() {
    let run = run();
    let mut repo = repository(&run);
    let first = repo.publish("first").expect("a push");
    let core = Core::new(&run, "core", &repo.url()).and_then(|core| core.without_webhook(&repo.url()));
    let mut core = core.expect("the core's folders can be made");
    core.start().await.expect("the core starts");
    core.compiled(&first, DEADLINE).await.expect("it reads what is there");
    repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    let second = repo.publish("second").expect("a push");
    core.compiled(&second, DEADLINE).await.expect("it finds what nobody told it of");
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted_and_another_is_refused() {
    let run = run();
    let mut repo = repository(&run);
    let revision = repo.publish("first").expect("a push");
    let authority = Authority::new().expect("a certificate can be made");
    let listen = run.net().socket(8080);
    let tls = authority.server(listen.ip()).expect("a certificate can be made");
    let server = GitHttp::start_tls(listen, repo.bare(), tls).await.expect("the address is free");

    let trusted = authority.write(run.folder()).expect("a file can be written");
    let core = Core::new(&run, "trusting", &server.url()).expect("the core's folders can be made");
    let mut core = core.with_variable("SSL_CERT_FILE", trusted);
    core.start().await.expect("the core starts");
    core.compiled(&revision, DEADLINE).await.expect("it reads over https");

    // The authorities of this machine do not know that one; nor does another of the same name.
    let other = Authority::new().and_then(|other| other.write(&run.make_folder("other")?));
    let core = Core::new(&run, "wary", &server.url()).expect("the core's folders can be made");
    let mut core = core.with_variable("SSL_CERT_FILE", other.expect("a file can be written"));
    core.start().await.expect("the core starts all the same");
    let refused = async || {
        let view = core.fleet().await?;
        anyhow::ensure!(view.source().error.contains("certificate"), "{:?}", view.source());
        Ok(view)
    };
    let view = eventually("the certificate is refused", DEADLINE, refused).await.expect("it is said why");
    assert_eq!(view.source().revision, "", "nothing was read");
    assert!(view.source().error_help.contains("certificate"), "{:?}", view.source());
}

/// What a site that has no stream says of itself.
fn runs_what_it_shall(view: &FleetView) -> anyhow::Result<()> {
    let (site, state) = (view.site("edge")?, view.state("edge")?);
    anyhow::ensure!(state.manifest == site.desired, "generation {}", state.generation);
    anyhow::ensure!(state.revision == view.source().revision, "{}", state.revision);
    Ok(())
}

#[tokio::test]
async fn a_site_that_pulls_follows_the_commits_and_reports() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_echo(&run, "edge").await;
    let mut agent = place.prepare_agent(&run, source.core.address(), XdsMode::Delta);
    agent.add_arguments(&["--link", "pull", "--pull-interval", "300ms"]);
    agent.start().expect("the agent starts");
    source.repo.copy_from(&policies()).expect("the fixture is there");
    for release in ["first", "second"] {
        if release == "second" {
            source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
        }
        let revision = source.repo.publish(release).expect("a push");
        source.core.notify().await.expect("the core takes the notice");
        source.core.compiled(&revision, DEADLINE).await.expect("the core compiles");
        let served = async || {
            let reply = Request::get("/").send(place.service(1, 8080)).await?;
            anyhow::ensure!(reply.header("x-release") == Some(release), "{:?}", reply.header("x-release"));
            Ok(())
        };
        eventually(release, DEADLINE, served).await.expect("the release is served");
        let told = async || runs_what_it_shall(&source.core.fleet().await?);
        eventually("the core is told", DEADLINE, told).await.expect("the site reports");
    }
    assert!(!source.core.fleet().await.expect("the core answers").site("edge").expect("a site").connected);
}
