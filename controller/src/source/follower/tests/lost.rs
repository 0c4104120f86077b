//! What is held when the mirror is lost, and with it the commits that no branch leads to any more.

use skerry_gitops::snapshot::kept::KeptFiles;

use super::*;

/// A route, with what follows in its rule.
fn route(rest: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: cart, namespace: shop}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: cart}}]\n  \
         rules: [{{backendRefs: [{{name: cart, port: 80}}]{rest}}}]\n"
    )
}

const REFUSED: &str = ", timeouts: many";
const FLAWED: &str = ", filters: [{type: URLRewrite}]";

fn key() -> ObjectKey {
    ObjectKey::new(Kind::HttpRoute, "shop", "cart")
}

impl Rig {
    /// A core that holds a route whose document went bad. The history was rewritten since, so that the commit of the good
    /// version is in the mirror alone.
    fn holding(bad: &str) -> (Self, Follower<PendingStore>) {
        let mut rig = Self::with("", &[("a.yaml", &route("")), ("b.yaml", SITE)]);
        let mut follower = rig.start_accepted();
        rig.repository.commit("bad", &[("a.yaml", &route(bad))]);
        follower.poll().unwrap();
        rig.rewrite();
        follower.poll().unwrap();
        follower.confirm(&rig.repository.git(&["rev-parse", "HEAD"])).unwrap();
        assert_eq!(held(&follower), "");
        assert!(holds(&follower), "the rewritten history has the bad document too");
        follower.take_events();
        rig.keep(&follower);
        (rig, follower)
    }

    /// Puts what is there into a history of one commit.
    fn rewrite(&self) {
        self.repository.git(&["checkout", "--quiet", "--orphan", "other"]);
        self.repository.commit("rewritten", &[]);
        self.repository.git(&["branch", "--force", "main", "other"]);
        self.repository.git(&["checkout", "--quiet", "main"]);
        self.repository.git(&["branch", "--quiet", "-D", "other"]);
    }

    fn lose_mirror(&self) {
        fs_err::remove_dir_all(self.folder.path().join("mirror")).unwrap();
    }

    /// The store is of a version that kept no files, say.
    fn lose_files(&mut self) {
        self.accepted.as_mut().unwrap().0.kept = KeptFiles::default();
    }

    /// Starts as the source's thread does, and polls.
    fn restart(&self) -> Follower<PendingStore> {
        let mut follower = self.start();
        follower.restore();
        follower.poll().unwrap();
        follower
    }
}

fn holds(follower: &Follower<PendingStore>) -> bool {
    follower
        .tree
        .as_ref()
        .is_some_and(|tree| tree.holds().contains_key(&key()) && tree.object(&key()).is_some())
}

fn has_route(event: &SourceEvent) -> bool {
    event.upserts.iter().any(|aged| aged.object.key == key())
}

/// Each way to lose the mirror or the good version in it: as long as the store has the version, it is held.
#[test]
fn invariant_6_what_is_held_outlives_the_mirror() {
    type Loss = fn(&Rig);
    let losses: [(&str, Loss); 3] = [
        ("nothing", |_| {}),
        ("the mirror", Rig::lose_mirror),
        ("the commit of the good version", |rig| {
            let mirror = rig.folder.path().join("mirror");
            let kept = git_in(&mirror, &["for-each-ref", "--format=%(refname)", "refs/skerry"]);
            for name in kept.lines().filter(|name| !name.ends_with("/head")) {
                git_in(&mirror, &["update-ref", "-d", name]);
            }
            git_in(&mirror, &["gc", "--quiet", "--prune=now"]);
        }),
    ];
    for bad in [REFUSED, FLAWED] {
        for (case, lose) in losses {
            let (rig, follower) = Rig::holding(bad);
            drop(follower);
            lose(&rig);

            let mut follower = rig.restart();

            assert_eq!(held(&follower), "", "{case}");
            assert!(holds(&follower), "{case}");
            let events = follower.take_events();
            assert_eq!(events.len(), 1, "{case}");
            assert!(has_route(&events[0]) && events[0].deletes.is_empty(), "{case}: {events:?}");
        }
    }
}

/// Runs `git` in a bare repository.
fn git_in(repository: &Path, arguments: &[&str]) -> String {
    let output =
        std::process::Command::new("git").arg("-C").arg(repository).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn invariant_6_what_is_held_outlives_a_mirror_that_is_built_anew_in_use() {
    let (rig, mut follower) = Rig::holding(REFUSED);
    fs_err::write(rig.folder.path().join("mirror/HEAD"), "\0garbage\n").unwrap();
    let next = rig.repository.commit("next", &[("c.yaml", &site_named("s2"))]);

    follower.poll().unwrap();

    assert_eq!((accepted(&follower), held(&follower)), (next, ""));
    assert!(holds(&follower));
    let events = follower.take_events();
    assert_eq!(events.iter().map(|event| event.scope).collect::<Vec<_>>(), [Scope::Whole, Scope::Changes]);
    assert!(has_route(&events[0]) && events.iter().all(|event| event.deletes.is_empty()), "{events:?}");
}

/// The commit in force is gone as well. Who confirms what comes after it lets nothing go that is still held there.
#[test]
fn invariant_6_what_is_held_outlives_the_commit_in_force() {
    let (rig, follower) = Rig::holding(REFUSED);
    drop(follower);
    rig.lose_mirror();
    rig.repository.commit("next", &[("c.yaml", &site_named("s2"))]);
    rig.rewrite();
    let mut follower = rig.restart();
    assert!(held(&follower).contains("the branch was rewritten"), "{}", held(&follower));
    assert_eq!(scopes(&mut follower), []);

    let head = rig.repository.git(&["rev-parse", "HEAD"]);
    follower.confirm(&head).unwrap();

    assert_eq!((accepted(&follower), held(&follower)), (head, ""));
    assert!(holds(&follower));
    assert!(has_route(&follower.take_events()[0]));
}

#[test]
fn invariant_6_a_revision_whose_held_version_is_lost_waits_for_a_confirmation() {
    for bad in [REFUSED, FLAWED] {
        let (mut rig, follower) = Rig::holding(bad);
        let revision = follower.accepted.as_ref().unwrap().revision.to_string();
        assert_eq!(follower.pending.confirmed, follower.accepted.as_ref().map(|accepted| accepted.commit));
        drop(follower);
        rig.lose_mirror();
        rig.lose_files();

        // It was confirmed when it was rewritten: that was before the loss.
        let mut follower = rig.restart();
        follower.poll().unwrap();

        assert!(
            held(&follower).contains("cannot be read any more: HTTPRoute shop/cart (commit "),
            "{}",
            held(&follower)
        );
        assert_eq!(rig.board.view().held.unwrap().revision.as_str(), revision, "people see it");
        assert_eq!(scopes(&mut follower), [], "nobody is told of a world without it");
        let other = follower.confirm("main@sha1:0000000000000000000000000000000000000000");
        assert!(matches!(other, Err(NotConfirmed::OtherHeld(_))), "{other:?}");

        // It waits over another start, too.
        let mut follower = rig.restart();
        assert_eq!(scopes(&mut follower), []);

        follower.confirm(&revision).unwrap();

        assert_eq!(held(&follower), "");
        let events = follower.take_events();
        assert_eq!(
            (events.len(), events[0].scope, events[0].confirmed),
            (1, Scope::Whole, Confirmed::Change)
        );
        assert_eq!(
            has_route(&events[0]),
            bad == FLAWED,
            "a flawed document counts where there is no good version"
        );
        assert_eq!(events[0].deletes.contains(&key()), bad == REFUSED);
        assert!(events[0].upserts.iter().any(|aged| aged.object.key.kind == Kind::Site));
        rig.keep(&follower);
        assert_eq!(scopes(&mut rig.restart()), [Scope::Whole], "and that is in force now");
    }
}

/// The remote is away: what is lost is shown all the same.
#[test]
fn a_loss_is_shown_before_anything_is_fetched() {
    let (mut rig, mut follower) = Rig::holding(REFUSED);
    rig.lose_files();
    follower.mirror.retain(&[].into()).unwrap();
    drop(follower);
    git_in(&rig.folder.path().join("mirror"), &["gc", "--quiet", "--prune=now"]);
    rig.repository.hide();

    let mut follower = rig.start();
    follower.restore();

    assert!(rig.board.view().held.unwrap().reason.contains("cannot be read any more"));
    assert!(rig.store.pending.lock().held.is_some());
    assert_eq!(scopes(&mut follower), []);
}

/// Each way in which the next commit may go on.
#[test]
fn invariant_6_a_commit_that_needs_a_lost_version_waits_and_one_that_does_not_goes_into_force() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let (good, refused, flawed) = (route(""), route(REFUSED), route(FLAWED));
    let other = "# nothing of ours\n";
    let cases: [(&str, Files<'_>, Option<bool>); 6] = [
        ("it is mended", &[("a.yaml", &good)], Some(true)),
        ("it is taken out", &[("a.yaml", other)], Some(false)),
        ("its file is gone", &[("a.yaml", "")], Some(false)),
        ("something else changes", &[("c.yaml", &site_named("s2"))], None),
        ("it is bad in another way", &[("a.yaml", &flawed)], None),
        ("it moves as it is", &[("a.yaml", ""), ("d.yaml", &refused)], None),
    ];
    for (case, files, outcome) in cases {
        let (mut rig, follower) = Rig::holding(REFUSED);
        drop(follower);
        rig.lose_mirror();
        rig.lose_files();
        let mut follower = rig.restart();
        let next = rig.repository.commit("next", files);

        follower.poll().unwrap();

        let events = follower.take_events();
        let Some(stays) = outcome else {
            assert!(held(&follower).contains("cannot be read any more"), "{case}: {}", held(&follower));
            assert!(events.is_empty(), "{case}: {events:?}");
            continue;
        };
        assert_eq!((accepted(&follower), held(&follower)), (next, ""), "{case}");
        assert_eq!((events.len(), events[0].scope), (1, Scope::Whole), "{case}");
        assert_eq!((has_route(&events[0]), events[0].deletes.contains(&key())), (stays, !stays), "{case}");
        assert_eq!(events[0].confirmed, Confirmed::No, "{case}");
    }
}

/// What the next commit removes is judged, although not all that is in force is known.
#[test]
fn invariant_6_mass_removal_is_held_with_a_version_lost() {
    let (mut rig, follower) = Rig::holding(REFUSED);
    drop(follower);
    rig.lose_mirror();
    rig.lose_files();
    let mut follower = rig.restart();
    rig.repository.commit("the last site", &[("a.yaml", &route("")), ("b.yaml", "")]);

    follower.poll().unwrap();

    assert!(held(&follower).contains("takes away 1 of 1 Site"), "{}", held(&follower));
    assert_eq!(scopes(&mut follower), []);
}
