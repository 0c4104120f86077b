//! Following: no event is lost, and nothing is removed unasked, whatever fails and when.

use std::path::Path;
use std::sync::Arc;

use skerry_core::world::Age;
use skerry_crds::policy_source::Verify;
use skerry_gitops::reference::Reference;
use skerry_gitops::remote::Remote;
use tempfile::TempDir;

use self::repository::Repository;
use self::store::PendingStore;
use super::*;
use crate::source::NotConfirmed;
use crate::source::config::Login;

mod lost;
#[path = "../../../tests/it/rig/repository.rs"]
#[allow(dead_code, reason = "the integration tests use all of it")]
mod repository;
mod signature;
mod store;

const SITE: &str = "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: s1}\n";

fn site_named(name: &str) -> String {
    SITE.replace("s1", name)
}

/// A repository, and what a core keeps of it over restarts.
struct Rig {
    repository: Repository,
    folder: TempDir,
    store: Arc<PendingStore>,
    path: &'static str,
    verify: Option<Verify>,
    board: Arc<SourceBoard>,
    accepted: Option<(Accepted, Option<Ages>)>,
}

impl Rig {
    fn with(path: &'static str, files: &[(&str, &str)]) -> Self {
        let (folder, store, board) = (tempfile::tempdir().unwrap(), Arc::default(), Arc::default());
        Self { repository: Repository::with(files), folder, store, path, verify: None, board, accepted: None }
    }

    /// Starts where the last follower left off.
    fn start(&self) -> Follower<PendingStore> {
        let remote = Remote::parse(&self.repository.path().display().to_string()).unwrap();
        let mirror = Mirror::open_or_create(&self.folder.path().join("mirror"), &remote).unwrap();
        let config = SourceConfig {
            remote,
            reference: Reference::Branch("main".to_owned()),
            path: self.path.to_owned(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(20),
            mode: Mode::Follow,
            login: Login::Anonymous,
            webhook_secret: None,
            verify: self.verify.clone(),
        };
        let (accepted, ages) = self.accepted.clone().unzip();
        let pending = self.store.pending.lock().clone();
        let restored = Restored { accepted, ages: ages.flatten(), pending, ..Restored::default() };
        let board = Arc::clone(&self.board);
        Follower::new(config, mirror, (Arc::clone(&self.store), restored), board, Clock::system())
    }

    /// Keeps what is in force, as the planner does.
    fn keep(&mut self, follower: &Follower<PendingStore>) {
        let ages = follower.tree.as_ref().and_then(SourceTree::ages).cloned();
        self.accepted = follower.accepted.clone().map(|accepted| (accepted, ages));
    }

    /// Starts, takes the first head, and keeps it.
    fn start_accepted(&mut self) -> Follower<PendingStore> {
        let mut follower = self.start();
        follower.poll().unwrap();
        assert_eq!(scopes(&mut follower), [Scope::Whole]);
        self.keep(&follower);
        follower
    }

    fn set_full(&self, is_full: bool) {
        *self.store.is_full.lock() = is_full;
    }
}

fn scopes(follower: &mut Follower<PendingStore>) -> Vec<Scope> {
    follower.take_events().iter().map(|event| event.scope).collect()
}

fn held(follower: &Follower<PendingStore>) -> &str {
    follower.pending.held.as_ref().map_or("", |held| &held.reason)
}

fn accepted(follower: &Follower<PendingStore>) -> String {
    follower.accepted.as_ref().map(|accepted| accepted.commit.to_string()).unwrap_or_default()
}

fn age(follower: &Follower<PendingStore>, name: &str) -> Age {
    let tree = follower.tree.as_ref().expect("something was read");
    tree.object(&ObjectKey::new(Kind::Site, "", name)).expect("the object is there").age
}

#[test]
fn what_was_restored_is_told_although_the_poll_fails() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    rig.start_accepted();
    rig.repository.git(&["commit", "--quiet", "--amend", "--message", "rewritten"]);
    rig.set_full(true);

    let mut follower = rig.start();
    let failure = follower.poll().unwrap_err();

    assert!(failure.error.contains("the disk is full"), "{failure}");
    assert_eq!(scopes(&mut follower), [Scope::Whole]);
}

#[test]
fn what_was_accepted_is_told_although_the_hold_cannot_be_cleared() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let first = rig.repository.git(&["rev-parse", "HEAD"]);
    rig.repository.git(&["commit", "--quiet", "--amend", "--message", "rewritten"]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("rewritten"));
    rig.repository.git(&["reset", "--quiet", "--hard", &first]);
    let second = rig.repository.commit("second", &[("b.yaml", &site_named("s2"))]);
    rig.set_full(true);

    follower.poll().unwrap_err();

    assert_eq!(accepted(&follower), second);
    assert_eq!(scopes(&mut follower), [Scope::Changes]);

    // The store learns of it as soon as it can.
    rig.set_full(false);
    assert!(rig.store.pending.lock().held.is_some());
    follower.poll().unwrap();
    assert_eq!(rig.store.pending.lock().held, None);
    assert_eq!(scopes(&mut follower), []);
}

#[test]
fn an_emptied_head_is_not_applied_when_the_way_back_fails() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let emptied = rig.repository.commit("all gone", &[("a.yaml", ""), ("README.md", "nothing")]);
    let head = follower.fetch().unwrap();
    let good = follower.accepted.clone().unwrap();
    let ages = follower.tree.as_ref().unwrap().ages().cloned().unwrap();

    // The revision in force cannot be read any more.
    follower.accepted.as_mut().unwrap().commit = "a".repeat(40).parse().unwrap();
    follower.advance(&head, Signature::default()).unwrap();

    assert_eq!(follower.tree, None);
    assert!(held(&follower).contains("has no object of ours"));
    let key = ObjectKey::new(Kind::Site, "", "s1");
    assert_eq!(follower.ages.as_ref().unwrap().first_seen(&key), ages.first_seen(&key), "ages are kept");

    follower.accepted = Some(good.clone());
    follower.poll().unwrap();
    assert_eq!(follower.accepted, Some(good));
    assert_eq!(follower.tree.as_ref().unwrap().objects().count(), 1);
    assert!(held(&follower).contains(&emptied[..8]));
    let events = follower.take_events();
    assert!(events.iter().all(|event| !event.upserts.is_empty() && event.deletes.is_empty()), "{events:?}");
}

#[test]
fn an_emptied_head_is_read_once() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    rig.repository.commit("all gone", &[("a.yaml", ""), ("README.md", "nothing")]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("has no object of ours"));
    let object = |follower: &Follower<_>| follower.tree.as_ref().unwrap().objects().next().unwrap().object;
    let before = object(&follower);

    follower.poll().unwrap();

    assert!(Arc::ptr_eq(&before, &object(&follower)), "the source was not parsed again");
    assert_eq!(scopes(&mut follower), []);
    let revision = follower.pending.held.as_ref().unwrap().revision.to_string();
    follower.confirm(&revision).unwrap();
    assert_eq!(follower.take_events()[0].deletes.len(), 1);
}

#[test]
fn a_confirmation_is_spent_when_another_commit_is_accepted() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    rig.repository.git(&["commit", "--quiet", "--amend", "--message", "rewritten"]);
    let rewritten = rig.repository.git(&["rev-parse", "HEAD"]);
    follower.poll().unwrap();
    follower.confirm(&rewritten).unwrap();
    assert_eq!(accepted(&follower), rewritten);
    let next = rig.repository.commit("next", &[("b.yaml", &site_named("s2"))]);
    follower.poll().unwrap();
    assert_eq!(accepted(&follower), next);

    rig.repository.git(&["reset", "--quiet", "--hard", &rewritten]);
    follower.poll().unwrap();

    assert!(held(&follower).contains("takes 1 commit back"), "{:?}", follower.pending);
    assert_eq!(accepted(&follower), next);
}

#[test]
fn another_path_is_held_until_it_is_confirmed() {
    let mut rig = Rig::with("prod", &[("prod/a.yaml", SITE), ("lab/b.yaml", &site_named("s2"))]);
    rig.start_accepted();
    rig.path = "lab";

    let mut follower = rig.start();
    follower.poll().unwrap();

    let commit = rig.repository.git(&["rev-parse", "HEAD"]);
    let reason = held(&follower);
    assert!(reason.contains("from `prod` to `lab`, which has 1 objects of ours"), "{reason}");
    assert!(reason.contains(&format!("skerry source confirm {}", &commit[..8])), "{reason}");
    let events = follower.take_events();
    assert_eq!((events.len(), events[0].upserts[0].object.key.name.as_str()), (1, "s1"));
    follower.poll().unwrap();
    assert_eq!(scopes(&mut follower), []);

    follower.confirm(&commit).unwrap();
    let events = follower.take_events();
    assert_eq!((events[0].scope, events[0].accepted.path.as_str()), (Scope::Whole, "lab"));
    assert_eq!(held(&follower), "");
    rig.keep(&follower);

    // The confirmation was for that path only.
    rig.path = "prod";
    let mut follower = rig.start();
    follower.poll().unwrap();
    assert!(held(&follower).contains("from `lab` to `prod`"));

    // The hold ends when the path is set back.
    rig.path = "./lab/";
    let mut follower = rig.start();
    follower.poll().unwrap();
    assert_eq!(held(&follower), "");
}

fn services(names: std::ops::Range<usize>) -> String {
    let one = |at| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{at}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        )
    };
    SITE.to_owned() + &names.map(one).collect::<String>()
}

fn mesh(percent: u8) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: m}}\nspec: {{maxRemovalPercent: {percent}}}\n"
    )
}

#[test]
fn invariant_6_mass_removal_is_held_over_a_restart_until_it_is_confirmed() {
    let mut rig = Rig::with("", &[("a.yaml", &services(0..10))]);
    let mut follower = rig.start_accepted();
    let shrunk = rig.repository.commit("most are gone", &[("a.yaml", &services(0..4))]);

    follower.poll().unwrap();

    let reason = held(&follower).to_owned();
    assert!(reason.contains("takes away 6 of 10 Service (60 %) within an hour"), "{reason}");
    assert!(reason.contains("is 50 %: Service default/s4, Service default/s5,"), "{reason}");
    assert!(reason.contains(&format!("skerry source confirm {}", &shrunk[..8])), "{reason}");
    assert_eq!(scopes(&mut follower), []);
    rig.keep(&follower);
    let mut follower = rig.start();
    follower.poll().unwrap();
    assert_eq!(held(&follower), reason, "the hold outlives a restart");
    let events = follower.take_events();
    assert!(events.iter().all(|event| event.deletes.is_empty() && event.upserts.len() == 11), "{events:?}");

    // A newer head is judged anew, and by itself.
    let more = rig.repository.commit("one more", &[("b.yaml", &site_named("s2"))]);
    follower.poll().unwrap();
    assert!(held(&follower).starts_with(&more[..8]), "{}", held(&follower));
    assert!(follower.confirm(&shrunk).is_err(), "a confirmation names exactly one revision");
    follower.confirm(&more).unwrap();
    let events = follower.take_events();
    assert_eq!((events[0].confirmed, events[0].deletes.len()), (Confirmed::Change, 6));
    assert_eq!(held(&follower), "");
}

#[test]
fn invariant_6_removals_add_up_for_an_hour_until_they_are_confirmed() {
    let rig = &mut Rig::with("", &[("a.yaml", &services(0..10))]);
    let mut follower = rig.start_accepted();
    for left in [8, 6, 5] {
        let commit = rig.repository.commit("some are gone", &[("a.yaml", &services(0..left))]);
        follower.poll().unwrap();
        assert_eq!((accepted(&follower), held(&follower)), (commit, ""));
    }
    let commit = rig.repository.commit("one more is gone", &[("a.yaml", &services(0..4))]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("takes away 6 of 10 Service"), "{}", held(&follower));
    follower.confirm(&commit).unwrap();

    let commit = rig.repository.commit("another is gone", &[("a.yaml", &services(0..3))]);
    follower.poll().unwrap();
    assert_eq!(
        (accepted(&follower), held(&follower)),
        (commit, ""),
        "what was confirmed does not count any more"
    );
}

#[test]
fn invariant_6_the_limit_is_that_of_the_mesh_in_force() {
    let rig = &mut Rig::with("", &[("a.yaml", &services(0..20)), ("m.yaml", &mesh(25))]);
    let mut follower = rig.start_accepted();
    rig.repository
        .commit("raised, and used at once", &[("a.yaml", &services(0..10)), ("m.yaml", &mesh(100))]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("10 of 20 Service (50 %)"), "{}", held(&follower));
    assert!(held(&follower).contains("is 25 %"), "{}", held(&follower));

    rig.repository.commit("first raised", &[("a.yaml", &services(0..20)), ("m.yaml", &mesh(100))]);
    follower.poll().unwrap();
    let commit = rig.repository.commit("then used", &[("a.yaml", &services(0..10))]);
    follower.poll().unwrap();
    assert_eq!((accepted(&follower), held(&follower)), (commit, ""));

    rig.repository.commit("no settings", &[("m.yaml", "")]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("1 of 1 Mesh"), "{}", held(&follower));
}

#[test]
fn a_renamed_folder_removes_nothing_and_a_document_that_breaks_is_no_removal() {
    let rig = &mut Rig::with("", &[("old/a.yaml", &services(0..10))]);
    let mut follower = rig.start_accepted();
    for files in [
        [("old/a.yaml", ""), ("new/b.yaml", services(0..10).as_str())],
        [("new/b.yaml", "kind: [Site"), ("c.yaml", site_named("s2").as_str())],
    ] {
        let commit = rig.repository.commit("change", &files);
        follower.poll().unwrap();
        assert_eq!((accepted(&follower), held(&follower)), (commit, ""));
        assert!(follower.take_events().iter().all(|event| event.deletes.is_empty()));
    }
}

#[test]
fn the_revision_in_force_can_be_confirmed_for_sites_that_refused_it() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let commit = accepted(&follower);

    assert_eq!(follower.confirm("0000000"), Err(NotConfirmed::NothingHeld));
    follower.confirm(&commit[..8]).unwrap();

    let events = follower.take_events();
    assert_eq!((events.len(), events[0].confirmed, events[0].scope), (1, Confirmed::InForce, Scope::Changes));
    assert!(events[0].upserts.is_empty() && events[0].deletes.is_empty());
}

#[test]
fn ages_are_kept_when_the_path_changes() {
    let mut rig = Rig::with("prod", &[("prod/a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let old = age(&follower, "s1");
    std::thread::sleep(Duration::from_millis(1100));
    let files = [
        ("prod/a.yaml", ""),
        ("lab/a.yaml", SITE),
        ("lab/b.yaml", &site_named("s2")),
        ("prod/c.yaml", &site_named("s3")),
    ];
    let moved = rig.repository.commit("moved", &files);
    follower.poll().unwrap();
    rig.keep(&follower);
    rig.path = "lab";

    let mut follower = rig.start();
    follower.poll().unwrap();
    follower.confirm(&moved).unwrap();

    assert_eq!(age(&follower, "s1"), old);
    assert!(matches!((old, age(&follower, "s2")), (Age::Known(old), Age::Known(new)) if new > old));
}

/// What is held teaches ages too: they are told with the next head that is taken, and so are stored.
#[test]
fn ages_that_a_held_head_taught_are_told_with_the_next_one() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let second = rig.repository.commit("second", &[("b.yaml", &site_named("s2"))]);
    rig.repository.commit("emptied", &[("a.yaml", ""), ("b.yaml", ""), ("README.md", "nothing")]);
    follower.poll().unwrap();
    assert_ne!(held(&follower), "");
    rig.repository.commit("back", &[("a.yaml", SITE), ("b.yaml", &site_named("s2"))]);

    follower.poll().unwrap();

    let events = follower.take_events();
    let learned = events.iter().filter_map(|event| event.ages.as_ref()).flat_map(|ages| &ages.objects);
    let learned: Vec<_> = learned.map(|(key, first)| (key.name.as_str(), first.commit.to_string())).collect();
    assert_eq!(learned, [("s2", second)]);
}

#[test]
fn a_damaged_mirror_is_built_anew() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let second = rig.repository.commit("second", &[("b.yaml", &site_named("s2"))]);
    let mirror = rig.folder.path().join("mirror");
    fs_err::remove_file(mirror.join("HEAD")).unwrap();

    follower.poll().unwrap();

    assert_eq!(accepted(&follower), second);
    assert_eq!(scopes(&mut follower), [Scope::Whole, Scope::Changes]);
    let first = rig.accepted.as_ref().unwrap().0.commit;
    rig.keep(&follower);
    let mut follower = rig.start();
    follower.restore();
    assert_eq!(scopes(&mut follower), [Scope::Whole]);
    assert!(follower.mirror.history().contains(first));
}

/// Each way to damage a mirror, while it is in use and while the core is away.
#[test]
fn every_damage_of_the_mirror_is_found_and_built_anew() {
    type Damage = (&'static str, fn(&Path));
    let in_use: [Damage; 4] = [
        ("HEAD is garbage", |mirror| write_garbage(&mirror.join("HEAD"))),
        ("a reference is garbage", |mirror| write_garbage(&mirror.join("refs/skerry/head"))),
        ("the packed references are garbage", |mirror| write_garbage(&mirror.join("packed-refs"))),
        ("the references are gone", |mirror| fs_err::remove_dir_all(mirror.join("refs")).unwrap()),
    ];
    let at_rest: [Damage; 4] = [
        ("the packs are cut short", |mirror| {
            each_object(mirror, |path| {
                let bytes = fs_err::read(path).unwrap();
                fs_err::write(path, &bytes[..bytes.len() / 2]).unwrap();
            });
        }),
        ("the packs are gone", |mirror| each_object(mirror, |path| fs_err::remove_file(path).unwrap())),
        ("the configuration is garbage", |mirror| write_garbage(&mirror.join("config"))),
        ("HEAD is gone", |mirror| fs_err::remove_file(mirror.join("HEAD")).unwrap()),
    ];
    let cases = in_use.map(|damage| (damage, true)).into_iter();
    for ((case, damage), is_in_use) in
        cases.chain(in_use.into_iter().chain(at_rest).map(|damage| (damage, false)))
    {
        let mut rig = Rig::with("", &[("a.yaml", SITE)]);
        let mut follower = rig.start_accepted();
        let second = rig.repository.commit("second", &[("b.yaml", &site_named("s2"))]);
        let mirror = rig.folder.path().join("mirror");
        if is_in_use {
            damage(&mirror);
        } else {
            drop(follower);
            damage(&mirror);
            follower = rig.start();
            follower.restore();
        }

        follower.poll().unwrap_or_else(|failure| panic!("{case}: {failure}"));

        assert_eq!((accepted(&follower), held(&follower)), (second, ""), "{case}");
        let events = follower.take_events();
        assert!(events.iter().all(|event| event.deletes.is_empty()), "{case}: {events:?}");
    }
}

fn write_garbage(path: &Path) {
    fs_err::remove_file(path).ok();
    fs_err::write(path, "\0garbage\n").unwrap();
}

fn each_object(mirror: &Path, change: impl Fn(&Path)) {
    let mut folders = vec![mirror.join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    // Objects are read-only.
                    let mut permissions = fs_err::metadata(&path).unwrap().permissions();
                    #[expect(clippy::permissions_set_readonly_false, reason = "a test's own file")]
                    permissions.set_readonly(false);
                    fs_err::set_permissions(&path, permissions).unwrap();
                    change(&path);
                }
            }
        }
    }
}

#[test]
fn a_mirror_that_stays_damaged_is_built_anew_once() {
    let mut rig = Rig::with("", &[("a.yaml", SITE)]);
    let mut follower = rig.start_accepted();
    let damaged = || Err(Failure { remedy: Remedy::Rebuild, ..Failure::default() });
    let hidden = rig.repository.hide();

    assert_ne!(follower.repair(damaged()), damaged(), "it was tried, and the remote is not there");
    assert_eq!(follower.repair(damaged()), damaged());

    rig.repository.show(&hidden);
    follower.poll().unwrap();
    assert_eq!(scopes(&mut follower), [Scope::Whole]);
    assert!(!follower.is_rebuilt);
}
