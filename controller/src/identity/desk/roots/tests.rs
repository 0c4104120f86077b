//! Policy keys of the trust root: who may change them, and what a restart keeps.

use skerry_core::id::Timestamp;
use skerry_identity::key::SigningKey;
use skerry_identity::sealed::SealKey;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::Role;

use super::*;
use crate::identity::authority::Authority;
use crate::identity::rotation::Order;
use crate::identity::store::IdentityStore;
use crate::store::redb::SeldomOpen;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct World {
    folder: tempfile::TempDir,
    desk: Desk,
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn IdentityStore> {
    Arc::new(SeldomOpen::new(&folder.path().join("identity.redb")).unwrap())
}

fn seal() -> SealKey {
    SealKey::new(&[7; 32]).unwrap()
}

fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, authority) = (open(&folder), Authority::create(&mesh(), None, NOW).unwrap());
        store.keep_authority(&authority.to_record(&seal()).unwrap()).unwrap();
        let desk = Desk::open(store, authority, seal(), NOW).unwrap();
        Self { folder, desk }
    }

    /// The desk after a restart of the core.
    fn restart(self) -> Self {
        let Self { folder, desk } = self;
        drop(desk);
        let store = open(&folder);
        let record = store.authority().unwrap().unwrap();
        let authority = Authority::open(&record, &mesh(), None, &seal()).unwrap();
        let desk = Desk::open(store, authority, seal(), NOW).unwrap();
        Self { folder, desk }
    }

    /// The next version with other policy keys, signed by these, and not by the core.
    fn next(&self, policy: Option<Role>, by: &[&SigningKey]) -> SignedRoot {
        let current = self.desk.trusted_root().root().clone();
        let (version, require_policy) = (current.version + 1, policy.is_some());
        signed(&TrustRoot { version, policy, require_policy, ..current }, by)
    }

    fn version(&self) -> u64 {
        self.desk.trusted_root().root().version
    }
}

fn signed(root: &TrustRoot, by: &[&SigningKey]) -> SignedRoot {
    let mut signed = SignedRoot::new(root).unwrap();
    by.iter().for_each(|key| signed.sign(key).unwrap());
    signed
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn role(key: &SigningKey) -> Option<Role> {
    Some(Role::new(1, [key.public()]))
}

#[test]
fn policy_keys_come_and_go_by_their_own_signatures() {
    let (world, a, b) = (World::new(), key(), key());
    assert_eq!(world.version(), 1);
    let first = world.next(role(&a), &[&a]);
    let words = |signed: SignedRoot| world.desk.set_policy_keys(signed).unwrap_err().to_string();
    let unsigned = words(world.next(role(&a), &[]));
    assert!(unsigned.contains("0 of the 1 signatures by policy keys of trust root 2"), "{unsigned}");
    let told = world.desk.trust_version();
    assert_eq!(world.desk.set_policy_keys(first.clone()).unwrap().root().policy, role(&a));
    assert!(world.desk.trust_version() > told, "sites hear of it");
    assert_eq!(world.desk.set_policy_keys(first).unwrap().root().version, 2, "an answer that was lost");

    // The core alone takes nothing away, and neither does who has its credentials.
    for next in [world.next(None, &[]), world.next(None, &[&b]), world.next(role(&b), &[&b])] {
        let refused = words(next);
        assert!(refused.contains("0 of the 1 signatures by policy keys of trust root 2"), "{refused}");
    }
    assert_eq!(world.version(), 2);
    world.desk.set_policy_keys(world.next(role(&b), &[&a, &b])).unwrap();
    world.desk.set_policy_keys(world.next(None, &[&b])).unwrap();

    let world = world.restart();
    assert_eq!((world.version(), world.desk.trusted_root().root().policy.clone()), (4, None));
    let versions = |after| {
        let authority = world.desk.authority();
        let roots = authority.trust_roots_after(after).iter();
        roots.map(|signed| signed.root().unwrap().version).collect::<Vec<_>>()
    };
    assert_eq!((versions(1), versions(0)), (vec![2, 3, 4], vec![4]), "what sites walk over");
}

#[test]
fn nothing_else_of_the_trust_root_is_changed_that_way() {
    let (world, a) = (World::new(), key());
    let current = world.desk.trusted_root().root().clone();
    let next = TrustRoot { version: 2, policy: role(&a), require_policy: true, ..current };
    let cases = [
        TrustRoot { core: Role::new(1, [a.public()]), policy: None, require_policy: false, ..next.clone() },
        TrustRoot { expires: next.expires + 1, ..next.clone() },
        TrustRoot { mesh: MeshDomain::new("other.local").unwrap(), ..next.clone() },
    ];
    for root in cases {
        let refused = world.desk.set_policy_keys(signed(&root, &[&a])).unwrap_err().to_string();
        assert!(refused.contains("differs in more than its policy keys"), "{refused}");
    }
    let gap = TrustRoot { version: 3, ..next };
    let refused = world.desk.set_policy_keys(signed(&gap, &[&a])).unwrap_err().to_string();
    assert!(refused.contains("trust root 3 does not follow 1"), "{refused}");
    assert_eq!(world.version(), 1);
}

/// A rotation of the manifest key needs the core alone as long as there are no policy keys, and could not be finished after.
#[test]
fn the_first_policy_keys_wait_for_the_end_of_a_rotation() {
    let (world, a) = (World::new(), key());
    let step = || world.desk.rotate(TrustKey::ManifestKey, Order::Next, |_| true).unwrap();
    let set = || world.desk.set_policy_keys(world.next(role(&a), &[&a]));
    for _ in 0..2 {
        step();
        let refused = set().unwrap_err().to_string();
        assert!(refused.contains("the manifest key is being rotated"), "{refused}");
    }
    step();
    assert_eq!(set().unwrap().root().policy, role(&a));
}
