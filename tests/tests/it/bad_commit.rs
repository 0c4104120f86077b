//! Invariants 7 and 11: one mistake hurts only itself and is shown with file and line; and invariant 6:
//! a source that has become unreadable or suspicious takes nothing away from a site.

use skerry_tests::fleet::{Core, FleetView, XdsMode};
use skerry_tests::git_http::{Access, GitHttp};
use skerry_tests::http::Request;
use skerry_tests::repo::PolicyRepo;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};

/// A mistake: where it is made, and what the core must say of it.
struct Mistake {
    file: &'static str,
    content: String,
    code: &'static str,
    line: u32,
}

fn mistake(file: &'static str, content: impl Into<String>, code: &'static str, line: u32) -> Mistake {
    Mistake { file, content: content.into(), code, line }
}

/// A route with one line that can be wrong, the eighth.
fn route(name: &str, line: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         parentRefs: [{{group: \"\", kind: Service, name: echo}}]\n  rules:\n    - matches: [{{path: {{type: Exact, value: /{name}}}}}]\n{line}\n"
    )
}

fn mistakes() -> Vec<Mistake> {
    let good = route("good", "      backendRefs: [{name: echo, port: 8080}]");
    vec![
        mistake(
            "yaml.yaml",
            format!("{good}---\nkind: [\n---\n{}", good.replace("good", "fine")),
            "InvalidYaml",
            10,
        ),
        mistake(
            "field.yaml",
            route("field", "      backendRef: [{name: echo, port: 8080}]"),
            "UnknownField",
            8,
        ),
        mistake("value.yaml", route("value", "      filters: [{type: RequestMagic}]"), "UnknownValue", 8),
        mistake(
            "type.yaml",
            route("type", "      backendRefs: [{name: echo, port: http}]"),
            "InvalidField",
            8,
        ),
        mistake(
            "dangling.yaml",
            route("dangling", "      backendRefs: [{name: gone, port: 8080}]"),
            "DanglingReference",
            8,
        ),
    ]
}

fn assert_named(view: &FleetView, mistake: &Mistake) {
    let of_file: Vec<_> =
        view.diagnostics().iter().filter(|diagnostic| diagnostic.file == mistake.file).collect();
    let found = of_file.iter().find(|diagnostic| diagnostic.code == mistake.code);
    let found = found.unwrap_or_else(|| panic!("{} has no {}: {of_file:#?}", mistake.file, mistake.code));
    assert_eq!(found.line, mistake.line, "{found:#?}");
    assert!(!found.help.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn invariant_7_one_bad_document_hurts_only_itself() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_echo(&run, "edge").await;
    let _agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &["edge"]).await;

    for mistake in mistakes() {
        source.repo.write(mistake.file, &mistake.content).expect("a file can be written");
    }
    source.repo.replace("policy.yaml", "request: 3s", "request: soon").expect("the policy is there");
    source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    source.publish("five mistakes, one spoilt policy, one good change", &["edge"]).await;

    let view = source.core.fleet().await.expect("the core answers");
    mistakes().iter().for_each(|mistake| assert_named(&view, mistake));
    assert_named(&view, &mistake("policy.yaml", "", "InvalidValue", 6));
    let questions = [
        Question::get("the good change", "/").header("x-release", "second"),
        Question::get("the good document before the broken one", "/good").by("v1").no_header("x-release"),
        Question::get("the good document after it", "/fine").by("v1").no_header("x-release"),
        Question::get("the route without a backend", "/dangling").status(500),
        Question::get("the policy's last good version", "/?fail=1&key=held").attempt(2),
    ];
    ask_all(place.service(1, 8080), &questions).await;
}

/// Waits for what a fetch that failed, or a head that is held, says.
async fn until(core: &Core, what: &str, holds: impl Fn(&FleetView) -> bool) -> FleetView {
    let seen = async || {
        let view = core.fleet().await?;
        anyhow::ensure!(holds(&view), "the source is {:?}", view.source());
        Ok(view)
    };
    eventually(what, DEADLINE, seen).await.expect("the core says so")
}

#[tokio::test]
async fn invariant_6_a_source_in_trouble_takes_nothing_away() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_echo(&run, "edge").await;
    let _agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
    source.repo.copy_from(&policies()).expect("the fixture is there");
    let first = source.publish("first", &["edge"]).await;
    let desired =
        source.core.fleet().await.expect("the core answers").site("edge").expect("a site").desired.clone();

    source.repo.commit_onto(None, "a rewritten history").expect("a commit");
    source.repo.force_push().expect("a push");
    source.core.notify().await.expect("the core takes the notice");
    let view =
        until(&source.core, "the rewritten history is held", |view| !view.source().held_revision.is_empty())
            .await;
    assert_eq!(view.source().revision, first);
    assert!(!view.source().held_reason.is_empty());

    source.repo.delete_branch().expect("a push");
    source.core.notify().await.expect("the core takes the notice");
    let view = until(&source.core, "the lost branch is said", |view| !view.source().error.is_empty()).await;
    assert!(!view.source().error_help.is_empty(), "{:?}", view.source());
    assert_eq!(view.site("edge").expect("a site").desired, desired, "the site keeps what it has");
    let reply = Request::get("/").send(place.service(1, 8080)).await.expect("Envoy answers");
    assert_eq!(reply.header("x-release"), Some("first"));
}

#[tokio::test]
async fn wrong_credentials_are_said_and_do_no_harm() {
    let run = run();
    let mut repo = PolicyRepo::init(run.folder()).expect("a repository can be made");
    repo.copy_from(&policies()).expect("the fixture is there");
    let revision = repo.publish("first").expect("a push");
    let kept = GitHttp::start(run.net().socket(9418), repo.bare(), Access::basic("reader", "tide"))
        .await
        .expect("a server");
    let mut refused = Core::new(&run, "refused", &kept.url()).expect("the core's folders can be made");
    refused.start().await.expect("the core starts all the same");
    let view = until(&refused, "the refusal is said", |view| !view.source().error.is_empty()).await;
    assert!(!view.source().error_help.is_empty(), "{:?}", view.source());

    let open = GitHttp::start(run.net().socket(9418), repo.bare(), Access::Open).await.expect("a server");
    let mut welcome = Core::new(&run, "welcome", &open.url()).expect("the core's folders can be made");
    welcome.start().await.expect("the core starts");
    welcome.compiled(&revision, DEADLINE).await.expect("it reads over HTTP");
}
