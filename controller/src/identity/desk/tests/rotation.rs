//! Rotation on a real store: the core is killed after each step and goes on, sites believe what they are shown throughout, and those
//! that were dark come back.

use skerry_identity::trust_root::{PolicyDemand, TrustedRoot};

use super::*;
use crate::identity::astray::Why;
use crate::identity::authority::AuthorityRecord;
use crate::identity::offline::Asked;
use crate::identity::operators::{Backing, May, Operator};
use crate::identity::roll::Token;
use crate::identity::rotation::{Ask, Order, Stage, Step, TrustKey, Waits};
use crate::identity::store::{Entry, Kept};

/// A site as its agent is: what it has, and what it is given when it renews.
pub(super) struct Site {
    pub(super) name: SiteId,
    machine: Machine,
    root: TrustedRoot,
    pub(super) handed: Handed,
}

impl Site {
    pub(super) fn enrol(world: &World, name: &str) -> Self {
        let (name, machine) = (SiteId::new(name).unwrap(), Machine::new());
        let (text, _) = world.desk.make_token(&name, Duration::ZERO, None, false, NOW).unwrap();
        let handed = machine.enrol(&world.desk, &name, &text.parse().unwrap()).unwrap();
        let root = TrustedRoot::first(handed.trust.trust_roots[0].clone()).unwrap();
        world.desk.note_trust(&name, handed.trust.version);
        Self { name, machine, root, handed }
    }

    /// Renews, and tells the core what it has then. Returns how often it had to ask.
    pub(super) fn renew(&mut self, world: &World) -> usize {
        let (agent, authority) = self.machine.requests();
        for asked in 1.. {
            let caller = Caller { now: world.desk.now(), ..caller(0) };
            self.handed = world.desk.renew(&self.name, (&agent, &authority), self.said(), caller).unwrap();
            let steps = &self.handed.trust.trust_roots;
            self.root = self.root.walk(steps, PolicyDemand::AsRoot).unwrap();
            if steps.len() < MAX_STEPS {
                world.desk.note_trust(&self.name, self.handed.trust.version);
                return asked;
            }
        }
        unreachable!("it asks for ever, or returns")
    }

    /// What it says of its trust root.
    pub(super) fn said(&self) -> SaidRoot {
        SaidRoot { version: self.root.root().version, digest: Some(self.root.signed().digest()) }
    }

    /// Says whether it believes what the core signs now.
    pub(super) fn believes(&self, desk: &Desk) -> bool {
        let signatures = Signatures::from_bytes(&desk.sign_manifest(b"a manifest")).unwrap();
        self.root.verify_manifest(b"a manifest", &signatures, NOW).is_ok()
    }

    /// Says whether it believes another site's authority.
    fn believes_site(&self, other: &Self) -> bool {
        let anchors = Anchors { mesh: mesh(), roots: self.handed.trust.mesh_roots.clone() };
        verify_site_ca(other.handed.authority.as_ref().unwrap(), &other.name, &anchors, now_of(other)).is_ok()
    }

    /// Says whether it takes the core for the core.
    fn knows_core(&self, desk: &Desk) -> bool {
        let (_, [leaf, _], _) = desk.authority().core_credentials(desk.now()).unwrap();
        let anchors = Anchors { mesh: mesh(), roots: self.handed.trust.link_roots.clone() };
        verify_peer(&[leaf.der().clone()], &anchors, desk.now()).is_ok()
    }

    /// Says whether the core takes it for the site's agent.
    fn is_known(&self, desk: &Desk) -> bool {
        let anchors = Anchors { mesh: mesh(), roots: desk.authority().link_roots() };
        verify_peer(&[self.handed.agent.der().clone()], &anchors, desk.now()).is_ok()
    }
}

fn now_of(site: &Site) -> Timestamp {
    site.handed.authority.as_ref().unwrap().validity().issued
}

pub(super) fn rotate(world: &World, key: TrustKey, ask: impl Into<Ask>) -> Result<Rotated, NotRotated> {
    world.desk.rotate(key, ask, |_| true)
}

/// As [`rotate`], where `dark` is not there, and every site that knows has known for long.
pub(super) fn rotate_without(
    world: &World,
    key: TrustKey,
    ask: impl Into<Ask>,
    dark: &str,
) -> Result<Rotated, NotRotated> {
    world.desk.standing.lock().age(Duration::from_secs(60));
    world.desk.rotate(key, ask, |site| site.as_str() != dark)
}

fn named(step: Step) -> Ask {
    Ask { order: Order::Next, named: Some(step) }
}

fn stepped(world: &World, key: TrustKey) -> Step {
    world.desk.standing.lock().age(Duration::from_secs(60));
    rotate(world, key, Order::Next).unwrap().step
}

#[test]
fn each_step_outlives_the_core_and_is_taken_once_all_sites_have_the_one_before() {
    for key in TrustKey::ALL {
        let mut world = World::new();
        let mut sites = [Site::enrol(&world, "oslo"), Site::enrol(&world, "bergen")];
        let signs = |world: &World| world.desk.authority().shown(key).0;
        let first = signs(&world);
        for (step, stage) in
            [(Step::Begin, Stage::Begun), (Step::Switch, Stage::Switched), (Step::End, Stage::Steady)]
        {
            assert_eq!(stepped(&world, key), step, "{key}");
            world = world.restart();
            assert_eq!(world.desk.authority().stage(key), stage, "{key} {step:?}");
            for site in &mut sites {
                let name = site.name.clone();
                assert!(
                    site.believes(&world.desk),
                    "{key} {step:?}: what is signed now is believed at {name}"
                );
                assert!(site.knows_core(&world.desk), "{key} {step:?}: {name} knows the core");
                assert!(site.is_known(&world.desk), "{key} {step:?}: {name} is known");
            }
            if step != Step::End {
                let error = rotate(&world, key, Order::Next).unwrap_err();
                assert!(matches!(error, NotRotated::Waits(Waits::Live { .. })), "{key} {step:?}: {error}");
            }
            sites[0].renew(&world);
            let [one, two] = &sites;
            assert!(one.believes_site(two) && two.believes_site(one), "{key} {step:?}");
            sites[1].renew(&world);
            let [one, two] = &sites;
            assert!(one.believes_site(two) && two.believes_site(one), "{key} {step:?}");
        }
        assert_ne!(signs(&world), first, "{key}");
        assert_eq!(world.desk.authority().shown(key).1, None, "{key}");
    }
}

/// A script that had no answer and asks again, a person who calls once too often, and a core that is started anew between.
#[test]
fn a_call_too_many_begins_no_other_rotation() {
    for key in TrustKey::ALL {
        let mut world = World::new();
        let mut site = Site::enrol(&world, "oslo");
        for step in [Step::Begin, Step::Switch, Step::End] {
            for was_taken in [false, true, true] {
                world.desk.standing.lock().age(Duration::from_secs(60));
                let rotated = rotate(&world, key, named(step)).unwrap();
                assert_eq!((rotated.step, rotated.was_taken), (step, was_taken), "{key}");
                world = world.restart();
            }
            site.renew(&world);
        }
        let (before, version) = (world.desk.authority().shown(key), world.desk.trust_version());
        for order in [Order::Next, Order::LeaveBehind] {
            let error = rotate(&world, key, order).unwrap_err();
            assert!(matches!(error, NotRotated::Waits(Waits::EndedLately { .. })), "{key}: {error}");
        }
        assert_eq!((world.desk.authority().shown(key), world.desk.trust_version()), (before, version));
        assert_eq!(rotate(&world, key, named(Step::Begin)).unwrap().now.stage, Stage::Begun, "{key}");
        let early = rotate(&world, key, named(Step::End)).unwrap_err();
        assert!(matches!(early, NotRotated::Waits(Waits::OutOfTurn { .. })), "{key}: {early}");
    }
}

/// A site that was dark for the whole of a rotation, and one that slept through forty of them.
#[test]
fn a_site_that_was_left_behind_comes_back_by_its_key() {
    let world = World::new();
    let (mut live, mut dark) = (Site::enrol(&world, "oslo"), Site::enrol(&world, "far"));
    for key in [TrustKey::MeshRoot, TrustKey::ManifestKey] {
        rotate_without(&world, key, Order::Next, "far").unwrap();
        live.renew(&world);
        for step in [Step::Switch, Step::End] {
            let error = rotate_without(&world, key, Order::Next, "far").unwrap_err().to_string();
            assert!(error.contains("waits for 1 dark site to have what was told last (far)"), "{error}");
            let rotated = rotate_without(&world, key, Order::LeaveBehind, "far").unwrap();
            assert_eq!((rotated.step, rotated.left), (step, vec![dark.name.clone()]));
            live.renew(&world);
        }
    }
    assert!(!dark.believes(&world.desk) && !live.believes_site(&dark));
    for _ in 0..40 {
        rotate_without(&world, TrustKey::ManifestKey, named(Step::Begin), "far").unwrap();
        for _ in 0..2 {
            live.renew(&world);
            rotate_without(&world, TrustKey::ManifestKey, Order::LeaveBehind, "far").unwrap();
        }
    }
    assert!(live.believes(&world.desk));
    assert_eq!(dark.renew(&world), 2, "83 versions of the trust root, 64 at a time");
    assert!(dark.believes(&world.desk) && dark.believes_site(&live) && live.believes_site(&dark));
}

/// A site that did not hear of a new link root in time does not know the core any more: the words of the command say so.
#[test]
fn a_site_that_missed_a_new_link_root_has_to_be_enrolled_anew() {
    let world = World::new();
    let (mut live, dark) = (Site::enrol(&world, "oslo"), Site::enrol(&world, "far"));
    rotate_without(&world, TrustKey::LinkRoot, Order::Next, "far").unwrap();
    live.renew(&world);
    let error = rotate_without(&world, TrustKey::LinkRoot, Order::Next, "far").unwrap_err().to_string();
    assert!(error.contains("(far)") && error.contains("have to be enrolled anew"), "{error}");
    assert!(dark.knows_core(&world.desk));
    rotate_without(&world, TrustKey::LinkRoot, Order::LeaveBehind, "far").unwrap();
    assert!(live.knows_core(&world.desk) && !dark.knows_core(&world.desk));
    let world = world.restart();
    let noted: Vec<_> = world.desk.astray().into_iter().map(|(site, astray)| (site, astray.why)).collect();
    assert_eq!(
        noted,
        [(dark.name.clone(), Why::LeftBehind)],
        "nobody else tells that somebody has to go there"
    );
    world.desk.note_greeting(&dark.name, 1);
    assert_eq!(world.desk.astray().len(), 1, "on a connection that is older than the switch");
    world.desk.note_greeting(&dark.name, world.desk.trust_version());
    assert_eq!(world.desk.astray(), [], "it comes after all: it had heard, and had not said so");
    let world = world.restart();
    assert_eq!(world.desk.astray().len(), 1, "until it has renewed it is to be seen that it came");
    let (text, _) = world.desk.make_token(&dark.name, Duration::ZERO, None, true, NOW).unwrap();
    Machine::new().enrol(&world.desk, &dark.name, &text.parse().unwrap()).unwrap();
    assert_eq!(world.desk.astray(), []);
}

/// A box that has not run yet may have kept nothing: its answer was lost, or it waits for an offline root with a token that pins the
/// old key.
#[test]
fn a_box_that_has_said_nothing_yet_is_waited_for() {
    let world = World::new();
    rotate(&world, TrustKey::LinkRoot, Order::Next).unwrap();
    let (text, _) = world.desk.make_token(&site(), Duration::ZERO, None, false, NOW).unwrap();
    Machine::new().enrol(&world.desk, &site(), &text.parse().unwrap()).unwrap();
    let waits = rotate_without(&world, TrustKey::LinkRoot, Order::Next, site().as_str()).unwrap_err();
    assert!(matches!(waits, NotRotated::Waits(Waits::Dark { .. })), "{waits}");
}

/// The switch of the link root is kept with all that follows from it: the tokens that pin the one before, and who is left.
#[test]
fn what_a_switch_ends_stays_ended_over_a_restart() {
    let world = World::new();
    let far = Site::enrol(&world, "far");
    rotate_without(&world, TrustKey::LinkRoot, Order::Next, "far").unwrap();
    world.desk.make_token(&site(), Duration::ZERO, None, false, NOW).unwrap();
    let switched = rotate_without(&world, TrustKey::LinkRoot, Order::LeaveBehind, "far").unwrap();
    assert_eq!((switched.left, switched.withdrawn), (vec![far.name.clone()], vec![site()]));
    let world = world.restart();
    assert_eq!(world.desk.astray().len(), 1);
    let facts = world.desk.key_facts(TrustKey::LinkRoot, |_| true).unwrap();
    assert_eq!(
        (facts.stage, facts.tokens),
        (Stage::Switched, Vec::new()),
        "tokens that pin a root that is gone"
    );
}

/// A key that was stolen is believed by nobody who has heard, at once; and who has not heard comes back all the same.
#[test]
fn in_an_emergency_the_old_key_is_dropped_at_once() {
    for key in [TrustKey::MeshRoot, TrustKey::ManifestKey] {
        for begun in [false, true] {
            let world = World::new();
            let (mut one, mut two) = (Site::enrol(&world, "oslo"), Site::enrol(&world, "bergen"));
            if begun {
                assert_eq!(stepped(&world, key), Step::Begin);
            }
            let stolen = world.desk.authority();
            let before = world.desk.trust_version();
            let rotated = rotate_without(&world, key, Order::Now, "oslo").unwrap();
            assert_eq!((rotated.step, rotated.now.stage), (Step::Replace, Stage::Steady));
            assert_eq!(rotated.left, [site()], "it is not there to hear of it");
            assert!(world.desk.trust_version() > before, "sites are told");
            let world = world.restart();
            one.renew(&world);
            assert!(one.believes(&world.desk), "{key} {begun}");
            let by_thief = Signatures::from_iter([stolen.sign_manifest(b"a manifest").unwrap()]);
            let taken = one.root.verify_manifest(b"a manifest", &by_thief, NOW).is_ok();
            assert_eq!(taken, key == TrustKey::MeshRoot, "{key} {begun}");
            assert_eq!(one.believes_site(&two), key == TrustKey::ManifestKey, "{key} {begun}");
            two.renew(&world);
            assert!(one.believes_site(&two) && two.believes_site(&one) && two.believes(&world.desk));
        }
    }
    let world = World::new();
    let error = rotate(&world, TrustKey::LinkRoot, Order::Now).unwrap_err();
    assert!(matches!(error, NotRotated::Waits(Waits::NotAtOnce)), "{error}");
}

/// A token pins the link root that the core shows: one that would lead to a core that is not known is withdrawn.
#[test]
fn a_token_that_pins_the_old_link_root_is_waited_for_or_withdrawn() {
    let world = World::new();
    let token = world.token(false).unwrap();
    assert_eq!(stepped(&world, TrustKey::LinkRoot), Step::Begin);
    assert_eq!(world.token(false).unwrap().pin, token.pin, "the core shows the old one still");
    let shown = |key| world.desk.key_facts(key, |_| true).unwrap().tokens;
    assert_eq!(TrustKey::ALL.map(shown), [vec![], vec![site()], vec![]], "whom the next step waits for");
    let error = rotate(&world, TrustKey::LinkRoot, Order::Next).unwrap_err().to_string();
    assert!(error.contains("unused join tokens for 1 site (oslo)"), "{error}");
    assert_eq!(rotate(&world, TrustKey::LinkRoot, Order::LeaveBehind).unwrap().step, Step::Switch);
    let world = world.restart();
    assert!(words(Machine::new().enrol(&world.desk, &site(), &token)).contains("is not known here"));
    let anew = world.token(false).unwrap();
    assert_ne!(anew.pin, token.pin);
    Machine::new().enrol(&world.desk, &site(), &anew).unwrap();
}

/// What is listed as good is taken, and nothing else.
#[test]
fn operators_of_the_old_link_root_are_listed_as_over_when_that_is() {
    let world = World::new();
    let key = EcdsaKey::generate().unwrap();
    world
        .desk
        .add_operator("ada", &ProvenKey::from(&key), Duration::from_secs(3_600), May::Change, "core")
        .unwrap();
    let is_good = |world: &World| {
        let listed: Vec<bool> =
            world.desk.operators().into_iter().map(|(_, backing)| backing != Backing::Gone).collect();
        assert_eq!(listed, [world.desk.judge_operator("ada", key.thumbprint()).is_ok()]);
        listed[0]
    };
    assert!(is_good(&world));
    for (step, expected) in [(Step::Begin, true), (Step::Switch, true), (Step::End, false)] {
        assert_eq!(stepped(&world, TrustKey::LinkRoot), step);
        assert_eq!(is_good(&world), expected, "{step:?}");
    }
}

/// A disk that takes nothing: nothing has changed, and nobody is told anything.
#[test]
fn a_step_that_cannot_be_kept_is_not_taken() {
    let mut world = World::new();
    let site = Site::enrol(&world, "oslo");
    let (before, version) = (world.desk.authority(), world.desk.trust_version());
    world.desk.store = Arc::new(Full);
    for (key, order) in [(TrustKey::ManifestKey, Order::Now), (TrustKey::MeshRoot, Order::Next)] {
        let error = rotate(&world, key, order).unwrap_err();
        assert!(matches!(error, NotRotated::Store(_)), "{error}");
    }
    assert!(Arc::ptr_eq(&world.desk.authority(), &before) && site.believes(&world.desk));
    assert_eq!(world.desk.trust_version(), version);
}

/// A disk that takes nothing.
struct Full;

impl IdentityStore for Full {
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError> {
        Ok(None)
    }

    fn keep_authority(&self, _: &AuthorityRecord) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }

    fn roll(&self) -> Result<Kept, StoreError> {
        Ok(Kept::default())
    }

    fn keep_token(&self, _: &Token, _: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }

    fn keep_entries(&self, _: &[Entry<'_>]) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }

    fn keep_trust(&self, _: u64, _: Option<&AuthorityRecord>, _: &[Entry<'_>]) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }

    fn asked(&self, _: &SiteId) -> Result<Option<Asked>, StoreError> {
        Ok(None)
    }

    fn all_waiting(&self, _: &str, _: usize) -> Result<Vec<(SiteId, Asked)>, StoreError> {
        Ok(Vec::new())
    }

    fn keep_asked(&self, _: &[(SiteId, Asked)]) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }

    fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        Ok(Vec::new())
    }

    fn keep_operators(&self, _: &[Operator]) -> Result<(), StoreError> {
        Err(StoreError::Failed("no room".to_owned()))
    }
}
