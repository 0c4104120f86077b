//! What is taken, and what a site is offered because of it.

use parking_lot::Mutex;
use skerry_core::id::SiteId;
use skerry_identity::key::SigningKey;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{SignedRoot, TrustRoot};

use super::*;
use crate::samples::{contents, service, site};

#[derive(Default)]
struct Memory(Mutex<BTreeMap<SiteId, Vec<Kept>>>);

impl PolicyStore for Memory {
    fn policy_signatures(&self) -> Result<Vec<(SiteId, Vec<Kept>)>, StoreError> {
        Ok(self.0.lock().clone().into_iter().collect())
    }

    fn keep_policy_signatures(&self, rows: &[(SiteId, Vec<Kept>)]) -> Result<(), StoreError> {
        self.0.lock().extend(rows.iter().cloned());
        Ok(())
    }
}

fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

/// A board below a trust root, and what it keeps its signatures in.
fn board(policy: Option<Role>, require_policy: bool, by: &[&SigningKey]) -> (PolicyBoard, Arc<Memory>) {
    let core = SigningKey::generate().unwrap();
    let role = Role::new(1, [core.public()]);
    let root = TrustRoot { mesh: mesh(), version: 3, expires: u64::MAX, core: role, policy, require_policy };
    let mut signed = SignedRoot::new(&root).unwrap();
    by.iter().chain([&&core]).for_each(|key| signed.sign(key).unwrap());
    let (root, memory) = (Arc::new(TrustedRoot::first(signed).unwrap()), Arc::new(Memory::default()));
    let store: Arc<dyn PolicyStore> = Arc::<Memory>::clone(&memory);
    (PolicyBoard::open(store, move || Arc::clone(&root)).unwrap(), memory)
}

fn signatures(name: &str, contents: &Contents, number: u64, by: &[&SigningKey]) -> v1::PolicySignatures {
    let (mesh, site, commit) = (mesh(), site(name), "07".repeat(20));
    let policy = contents.policy_digest().unwrap();
    let statement = Statement { mesh: &mesh, site: &site, number, commit: &commit, policy: &policy };
    let signatures: Signatures = by.iter().map(|key| statement.sign(key).unwrap()).collect();
    let sites = vec![v1::SiteSignatures { site: name.to_owned(), signatures: signatures.to_bytes() }];
    v1::PolicySignatures {
        mesh: "mesh.local".to_owned(),
        commit: vec![7; 20],
        number,
        groups: vec![v1::PolicyGroup { policy: policy.as_bytes().to_vec(), sites }],
        ..v1::PolicySignatures::default()
    }
}

fn number(vouched: &Vouched) -> Option<u64> {
    match vouched {
        Vouched::Signed(kept) => Some(kept.number),
        Vouched::Missing | Vouched::NotRequired => None,
    }
}

#[test]
fn a_site_is_offered_what_was_signed_for_it() {
    let key = SigningKey::generate().unwrap();
    let (board, memory) = board(Some(Role::new(1, [key.public()])), true, &[&key]);
    let (first, second) = (contents(&[service("cart", 3, 1)]), contents(&[service("cart", 4, 1)]));
    let vouch = |contents| board.vouch(&site("s1"), contents, Some(Asks::default()));
    assert_eq!(vouch(&first), Vouched::Missing);
    let news = board.attach(&signatures("s1", &first, 4, &[&key])).unwrap();
    assert_eq!(news, BTreeSet::from([site("s1")]));
    assert_eq!(number(&vouch(&first)), Some(4));
    assert_eq!(vouch(&second), Vouched::Missing, "another content");
    assert_eq!(board.vouch(&site("s2"), &first, Some(Asks::default())), Vouched::Missing, "another site");
    assert!(board.attach(&signatures("s1", &first, 4, &[&key])).unwrap().is_empty(), "twice");
    board.attach(&signatures("s1", &second, 5, &[&key])).unwrap();
    assert_eq!((number(&vouch(&first)), number(&vouch(&second))), (Some(4), Some(5)));
    board.attach(&signatures("s1", &first, 6, &[&key])).unwrap();
    assert_eq!(number(&vouch(&first)), Some(6), "the newest number of a content");
    let ahead = Asks { floor: 6, ..Asks::default() };
    assert_eq!(
        board.vouch(&site("s1"), &second, Some(ahead)),
        Vouched::Missing,
        "the site would refuse number 5"
    );

    let root = (board.in_force)();
    assert_eq!(number(&board.vouch(&site("s1"), &first, Some(ahead))), Some(6));
    let again = PolicyBoard::open(memory, move || Arc::clone(&root)).unwrap();
    assert_eq!(number(&again.vouch(&site("s1"), &second, Some(Asks::default()))), Some(5), "after a restart");
}

#[test]
fn several_keys_may_come_one_by_one() {
    let (a, b) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let (board, _) = board(Some(Role::new(2, [a.public(), b.public()])), true, &[&a, &b]);
    let contents = contents(&[service("cart", 3, 1)]);
    let vouch = || board.vouch(&site("s1"), &contents, Some(Asks::default()));
    board.attach(&signatures("s1", &contents, 4, &[&a])).unwrap();
    assert_eq!(vouch(), Vouched::Missing);
    board.attach(&signatures("s1", &contents, 4, &[&b])).unwrap();
    assert_eq!(number(&vouch()), Some(4));
}

#[test]
fn what_nobody_asks_for_may_be_missing() {
    let key = SigningKey::generate().unwrap();
    let contents = contents(&[service("cart", 3, 1)]);
    let (optional, _) = board(Some(Role::new(1, [key.public()])), false, &[&key]);
    let vouch = |demand| optional.vouch(&site("s1"), &contents, Some(Asks { demand, floor: 0 }));
    assert_eq!(vouch(PolicyDemand::AsRoot), Vouched::NotRequired);
    assert_eq!(vouch(PolicyDemand::Always), Vouched::Missing, "the site itself asks for it");
    let of_status = optional.vouch(&site("s1"), &contents, None);
    assert_eq!(of_status, Vouched::Missing, "who does not know it is told the same");
    assert_eq!(vouch(PolicyDemand::AsRoot), Vouched::NotRequired, "its agent was started without the option");
    assert_eq!(optional.vouch(&site("s1"), &contents, None), Vouched::NotRequired);
    optional.attach(&signatures("s1", &contents, 4, &[&key])).unwrap();
    assert_eq!(number(&vouch(PolicyDemand::AsRoot)), Some(4));
    let (none, _) = board(None, false, &[]);
    assert_eq!(none.vouch(&site("s1"), &contents, Some(Asks::default())), Vouched::NotRequired);
}

#[test]
fn what_no_policy_key_has_signed_is_not_kept() {
    let (key, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let (board_of_key, memory) = board(Some(Role::new(1, [key.public()])), true, &[&key]);
    let contents = contents(&[service("cart", 3, 1)]);
    let good = || signatures("s1", &contents, 4, &[&key]);
    let mut renamed = good();
    renamed.groups[0].sites[0].site = "s2".to_owned();
    let mut cut = good();
    cut.groups[0].sites[0].signatures.pop();
    let mut crowd = good();
    crowd.groups[0].sites = vec![crowd.groups[0].sites[0].clone(); MAX_ATTACHED_SITES + 1];
    let cases = [
        (signatures("s1", &contents, 4, &[&stranger]), "by no policy key of trust root 3"),
        (v1::PolicySignatures { number: 5, ..good() }, "by no policy key"),
        (v1::PolicySignatures { commit: vec![8; 20], ..good() }, "by no policy key"),
        (renamed, "what it has for site `s2` is by no policy key"),
        (v1::PolicySignatures { mesh: "other.local".to_owned(), ..good() }, "for mesh `other.local`"),
        (v1::PolicySignatures { commit: vec![7; 19], ..good() }, "a commit has 20 bytes"),
        (cut, "71 bytes are not a multiple of 72"),
        (crowd, "4097 sites at once"),
    ];
    for (request, message) in cases {
        let found = board_of_key.attach(&request).unwrap_err().to_string();
        assert!(found.contains(message), "{message}: {found}");
    }
    assert!(memory.0.lock().is_empty());
    let mixed = signatures("s1", &contents, 4, &[&stranger, &key]);
    board_of_key.attach(&mixed).unwrap();
    assert_eq!(memory.0.lock()[&site("s1")][0].signatures.iter().count(), 1, "the stranger's is left out");

    let (none, _) = board(None, false, &[]);
    let found = none.attach(&good()).unwrap_err().to_string();
    assert!(found.contains("has no policy keys: `skerry trust policy`"), "{found}");
}
