//! Enrolment on a real store: tokens, boxes, renewal, revocation, and what a restart keeps.

use skerry_identity::key::EcdsaKey;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::verify::{Anchors, verify_peer, verify_site_ca};

use super::*;
use crate::store::redb::SeldomOpen;
use skerry_identity::token::{JoinToken, TokenRefusal};

mod astray;
mod rotation;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The trust root that a core begins with, as an agent of a release before names it.
const FIRST: SaidRoot = SaidRoot { version: 1, digest: None };

struct Machine {
    agent: EcdsaKey,
    authority: EcdsaKey,
}

impl Machine {
    fn new() -> Self {
        Self { agent: EcdsaKey::generate().unwrap(), authority: EcdsaKey::generate().unwrap() }
    }

    fn requests(&self) -> (Vec<u8>, Vec<u8>) {
        (csr::create(&self.agent).unwrap(), csr::create(&self.authority).unwrap())
    }

    fn enrol(&self, desk: &Desk, site: &SiteId, token: &JoinToken) -> Result<Handed, NotHanded> {
        let (agent, authority) = self.requests();
        desk.enrol(site, &token.secret, (&agent, &authority), caller(0))
    }

    fn renew(&self, desk: &Desk, site: &SiteId) -> Result<Handed, NotHanded> {
        let (agent, authority) = self.requests();
        desk.renew(site, (&agent, &authority), FIRST, caller(60))
    }
}

fn caller(minutes: u64) -> Caller {
    let now = Timestamp(NOW.0 + minutes * 60_000);
    Caller { peer: Some("127.0.0.1:9".parse().unwrap()), now, budget: Duration::from_secs(86_400) }
}

struct World {
    folder: tempfile::TempDir,
    desk: Desk,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, authority) = (open(&folder), Authority::create(&mesh(), None, NOW).unwrap());
        store.keep_authority(&authority.to_record(&seal()).unwrap()).unwrap();
        let desk = Desk::open(Arc::new(store), authority, seal(), NOW).unwrap();
        Self { folder, desk }
    }

    fn token(&self, replace: bool) -> Result<JoinToken, NotHanded> {
        let (text, _) = self.desk.make_token(&site(), Duration::ZERO, None, replace, NOW)?;
        Ok(text.parse().unwrap())
    }

    /// The desk after a restart of the core: with what is on disk.
    fn restart(self) -> Self {
        let Self { folder, desk } = self;
        drop(desk);
        let store = open(&folder);
        let record = store.authority().unwrap().unwrap();
        let authority = Authority::open(&record, &mesh(), None, &seal()).unwrap();
        let desk = Desk::open(Arc::new(store), authority, seal(), NOW).unwrap();
        Self { folder, desk }
    }
}

fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

fn seal() -> SealKey {
    SealKey::new(&[1; 32]).unwrap()
}

fn open(folder: &tempfile::TempDir) -> SeldomOpen {
    SeldomOpen::new(&folder.path().join("identity.redb")).unwrap()
}

fn site() -> SiteId {
    SiteId::new("oslo").unwrap()
}

fn words<T: std::fmt::Debug>(result: Result<T, NotHanded>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_box_with_a_token_is_given_what_it_needs_and_nothing_of_another_site() {
    let world = World::new();
    let (token, one) = (world.token(false).unwrap(), Machine::new());
    assert_eq!(token.pin, world.desk.authority().pin());
    let handed = one.enrol(&world.desk, &site(), &token).unwrap();
    let anchors = |roots: &[Certificate]| Anchors { mesh: token.mesh.clone(), roots: roots.to_vec() };
    verify_site_ca(handed.authority.as_ref().unwrap(), &site(), &anchors(&handed.trust.mesh_roots), NOW)
        .unwrap();
    let link = anchors(&handed.trust.link_roots);
    let peer = verify_peer(&[handed.agent.der().clone()], &link, NOW).unwrap();
    assert_eq!(peer.key, one.agent.thumbprint());
    assert_eq!(world.desk.judge(&site(), one.agent.thumbprint()), Ok(()));
    let other = SiteId::new("bergen").unwrap();
    assert!(world.desk.judge(&other, one.agent.thumbprint()).is_err());
}

/// The table of tokens: used twice by one box and by two, over, for another site, made up, altered requests.
#[test]
fn what_is_no_good_is_refused_and_recorded() {
    let world = World::new();
    let (one, two) = (Machine::new(), Machine::new());
    let token = world.token(false).unwrap();
    let other = SiteId::new("bergen").unwrap();
    assert!(words(one.enrol(&world.desk, &other, &token)).ends_with("is for site `oslo`"));
    let made_up = JoinToken { secret: TokenSecret::generate().unwrap(), ..token.clone() };
    assert!(words(one.enrol(&world.desk, &site(), &made_up)).contains("is not known here"));
    let (agent, authority) = one.requests();
    let late = Caller { now: token.expires, ..caller(0) };
    assert!(words(world.desk.enrol(&site(), &token.secret, (&agent, &authority), late)).contains("ended at"));

    one.enrol(&world.desk, &site(), &token).unwrap();
    one.enrol(&world.desk, &site(), &token).expect("an answer that was lost is not a second box");
    let twice = words(two.enrol(&world.desk, &site(), &token));
    assert!(twice.contains("was used before, at 2027-01-15T08:00:00Z, by another key"), "{twice}");
    let (enrolled, refused) = world.desk.entry(&site());
    assert_eq!(enrolled.unwrap().key, one.agent.thumbprint());
    let keys: Vec<_> = refused.iter().map(|refused| (refused.key, refused.times)).collect();
    assert_eq!(keys, [(two.agent.thumbprint(), 1)], "both are shown");

    let (agent, mut authority) = two.requests();
    *authority.last_mut().unwrap() ^= 1;
    let result = world.desk.enrol(&site(), &token.secret, (&agent, &authority), caller(0));
    assert!(matches!(result, Err(NotHanded::Malformed(_))));
}

/// Two boxes that claim one site: the second is refused, until somebody says that it takes the place of the first.
#[test]
fn a_second_box_is_fenced_until_it_takes_the_place_of_the_first() {
    let world = World::new();
    let (one, two) = (Machine::new(), Machine::new());
    let early = world.token(false).unwrap();
    one.enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    assert!(words(world.token(false)).contains("is enrolled by another box"));
    assert!(words(two.enrol(&world.desk, &site(), &early)).contains("is enrolled by another box"));
    assert_eq!(world.desk.entry(&site()).1.len(), 1);

    let changes = world.desk.changes();
    let handed = two.enrol(&world.desk, &site(), &world.token(true).unwrap()).unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(handed.trust.revoked, [one.authority.thumbprint()], "the box that is gone mints for nobody");
    assert!(world.desk.judge(&site(), one.agent.thumbprint()).is_err());
    assert!(words(one.renew(&world.desk, &site())).contains("is enrolled by another box"));
}

/// A site whose certificates are all over comes back by its key alone.
#[test]
fn a_box_renews_by_its_key_whenever_it_comes() {
    let world = World::new();
    let (one, thief) = (Machine::new(), Machine::new());
    let first = one.enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    let renewed = one.renew(&world.desk, &site()).unwrap();
    assert!(renewed.agent.not_after() > first.agent.not_after());
    assert!(renewed.trust.trust_roots.is_empty(), "it has the newest");
    let (agent, authority) = one.requests();
    let years = Caller { now: Timestamp(NOW.0 + 2 * 365 * 86_400_000), ..caller(0) };
    world.desk.renew(&site(), (&agent, &authority), FIRST, years).expect("no hand is needed");

    assert!(words(thief.renew(&world.desk, &site())).contains("is enrolled by another box"));
    let mixed = Machine { agent: one.agent, authority: thief.authority };
    assert!(words(mixed.renew(&world.desk, &site())).contains("keeps its key"));
}

#[test]
fn a_site_that_is_revoked_is_out_and_stays_out_over_a_restart() {
    let world = World::new();
    let one = Machine::new();
    one.enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    let spare = world.token(true).unwrap();
    assert!(words(world.desk.revoke(&SiteId::new("bergen").unwrap(), NOW)).contains("is not enrolled"));
    let other = SiteId::new("tromso").unwrap();
    let (text, _) = world.desk.make_token(&other, Duration::ZERO, None, false, NOW).unwrap();
    assert!(words(world.desk.revoke(&other, NOW)).contains("is not enrolled"));
    let withdrawn = Machine::new().enrol(&world.desk, &other, &text.parse().unwrap());
    assert!(words(withdrawn).contains("is not known here"), "a token that leaked before it was used");
    assert_eq!(world.desk.revoke(&site(), NOW).unwrap().key, one.agent.thumbprint());
    assert!(
        words(Machine::new().enrol(&world.desk, &site(), &spare)).contains("is not known here"),
        "its tokens end"
    );

    let world = world.restart();
    assert_eq!(world.desk.judge(&site(), one.agent.thumbprint()), Err(Stranger::Revoked(site())));
    assert!(words(one.renew(&world.desk, &site())).contains("was revoked"));
    let handed = Machine::new().enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    assert_eq!(handed.trust.revoked, [one.authority.thumbprint()], "news of it outlive a new enrolment");
}

#[test]
fn a_token_is_kept_as_a_hash_and_forgotten_when_it_is_over() {
    let world = World::new();
    let token = world.token(false).unwrap();
    let bytes = fs_err::read(world.folder.path().join("identity.redb")).unwrap();
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    // As JSON writes them, and as they are.
    let numbers = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let hash = skerry_identity::token::TokenHash::of(&token.secret);
    assert!(has(numbers(hash.as_bytes()).as_bytes()), "it is looked for in the right way");
    assert!(!has(numbers(token.secret.as_bytes()).as_bytes()) && !has(token.secret.as_bytes()));
    let month = Duration::from_secs(31 * 86_400);
    world.desk.make_token(&site(), Duration::ZERO, None, false, Timestamp(token.expires.0 + 1)).unwrap();
    let late = |at: u64| Caller { now: Timestamp(at), ..caller(0) };
    let one = Machine::new();
    let (agent, authority) = one.requests();
    let claim = |at| words(world.desk.enrol(&site(), &token.secret, (&agent, &authority), late(at)));
    assert!(claim(token.expires.0).contains("ended at"), "a clock that was ahead ends none for good");
    let later = token.expires.0 + u64::try_from(month.as_millis()).unwrap();
    world.desk.make_token(&site(), Duration::ZERO, None, false, Timestamp(later)).unwrap();
    assert!(claim(later).contains("is not known here"));
    let long = world.desk.make_token(&site(), MAX_TOKEN_LIFE * 2, None, false, NOW);
    assert!(words(long).contains("30 days"));
}

/// Many at once: each is told what is true, and nobody that the store is in use.
#[test]
fn many_at_once_are_served_one_after_the_other() {
    let world = World::new();
    let token = world.token(false).unwrap();
    let machines: Vec<Machine> = (0..8).map(|_| Machine::new()).collect();
    let won: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = machines
            .iter()
            .enumerate()
            .map(|(at, machine)| {
                let (world, token) = (&world, &token);
                scope.spawn(move || {
                    let other = SiteId::new(format!("other-{at}")).unwrap();
                    world.desk.make_token(&other, Duration::ZERO, None, false, NOW).unwrap();
                    match machine.enrol(&world.desk, &site(), token) {
                        Ok(_) => true,
                        Err(NotHanded::Stranger(Stranger::Token(TokenRefusal::Used(_)))) => false,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let key = machines[won.iter().position(|won| *won).unwrap()].agent.thumbprint();
    assert_eq!(world.desk.judge(&site(), key), Ok(()));
}

/// What is over by the newest certificate is not over by an older one: the revocation outlasts both.
#[test]
fn a_revocation_outlasts_every_certificate_that_was_given() {
    let world = World::new();
    let one = Machine::new();
    let token = world.token(false).unwrap();
    let (agent, authority) = one.requests();
    let budget = |days: u64| Caller { budget: Duration::from_secs(days * 86_400), ..caller(0) };
    let long = world.desk.enrol(&site(), &token.secret, (&agent, &authority), budget(100)).unwrap();
    world.desk.renew(&site(), (&agent, &authority), FIRST, budget(1)).unwrap();
    assert_eq!(world.desk.revoke(&site(), NOW).unwrap().authority_until, long.authority.unwrap().not_after());
}

/// Two meshes whose ceremonies are held by one person.
#[test]
fn a_file_of_another_mesh_or_root_is_told_as_one() {
    let world = World::new();
    let own = world.desk.authority().mesh_roots()[0].thumbprint();
    let other = EcdsaKey::generate().unwrap().thumbprint();
    assert_eq!(world.desk.check_signed("mesh.local", own), Ok(()));
    for (mesh, root) in [("other.local", own), ("mesh.local", other), ("", other)] {
        let error = world.desk.check_signed(mesh, root).unwrap_err().to_string();
        let (theirs, ours) = (format!("root {} of mesh `{mesh}`", root.short()), own.short());
        assert!(
            error.contains(&theirs) && error.contains(&ours) && error.contains("`mesh.local`"),
            "{error}"
        );
    }
}

/// News: what sites shall believe has another number after each change of it, and none after anything else.
#[test]
fn what_sites_shall_believe_is_numbered_over_restarts() {
    let world = World::new();
    let (one, two) = (Machine::new(), Machine::new());
    let version = |world: &World| *world.desk.trust_versions().borrow();
    let mut last = version(&world);
    let mut grows = |world: &World, expected: bool, what: &str| {
        let before = std::mem::replace(&mut last, version(world));
        assert_eq!(last > before, expected, "{what}: {before} to {last}");
    };
    let handed = one.enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    grows(&world, false, "a first box is news for nobody");
    assert_eq!(handed.trust.version, version(&world));
    one.renew(&world.desk, &site()).unwrap();
    grows(&world, false, "a renewal");
    let mut told = world.desk.trust_versions();
    world.desk.revoke(&site(), NOW).unwrap();
    grows(&world, true, "a revocation");
    assert!(told.has_changed().unwrap() && *told.borrow_and_update() == version(&world));

    let other = SiteId::new("bergen").unwrap();
    let (text, _) = world.desk.make_token(&other, Duration::ZERO, None, false, NOW).unwrap();
    let handed = two.enrol(&world.desk, &other, &text.parse().unwrap()).unwrap();
    assert_eq!(handed.trust.revoked_sites, [site()], "nobody believes its workloads");
    let world = world.restart();
    grows(&world, false, "a restart");
    let back = Machine::new().enrol(&world.desk, &site(), &world.token(false).unwrap()).unwrap();
    grows(&world, true, "it is believed again");
    assert_eq!((back.trust.revoked_sites.len(), back.trust.version), (0, version(&world)));
    Machine::new().enrol(&world.desk, &site(), &world.token(true).unwrap()).unwrap();
    grows(&world, true, "another box in its place");
}
