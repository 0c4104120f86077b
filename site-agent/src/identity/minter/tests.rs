//! Identities over time: by a fake clock, with real keys.

use std::net::IpAddr;
use std::num::NonZeroU16;

use skerry_core::workload::{Proxy, ProxyRole};
use skerry_identity::verify::{Anchors, verify_svid};

use super::*;
use crate::identity::fixture::{HOUR, Mesh, NOW, at};

fn workload(name: &str, account: &str, has_proxy: bool) -> Workload {
    let (outbound_cidr, inbound_port) = (None, NonZeroU16::new(15006).unwrap());
    let proxy = Proxy { role: ProxyRole::Sidecar, outbound_cidr, inbound_port };
    Workload {
        name: name.parse().unwrap(),
        labels: Default::default(),
        service_account: account.to_owned(),
        address: IpAddr::from([127, 0, 0, 1]),
        ports: Vec::new(),
        uid: None,
        proxy: has_proxy.then_some(proxy),
    }
}

fn both(time: Timestamp) -> Clocks {
    Clocks { trusted: time, wall: time }
}

fn name(text: &str) -> NamespacedName {
    text.parse().unwrap()
}

/// A minter with one workload, `shop/a-1` of account `a`, and whom its peers believe.
fn minter(mesh: &Mesh, hours: u32) -> (Minter, Anchors) {
    let mut minter = Minter::default();
    minter.handle_enrolment(Some(Arc::new(mesh.enrol(NOW, hours))), both(NOW));
    minter.handle_workloads(&[workload("shop/a-1", "a", true)]);
    (minter, Anchors { mesh: mesh.name.clone(), roots: vec![mesh.root()] })
}

fn serial(minter: &Minter) -> String {
    minter.held[&name("shop/a-1")].svid.certificate().serial().to_owned()
}

/// Says whether peers take the workload's certificate.
fn is_good(minter: &Minter, anchors: &Anchors, now: Timestamp) -> bool {
    let svid = &minter.held[&name("shop/a-1")].svid;
    let chain: Vec<_> = svid.chain.iter().map(|certificate| certificate.der().clone()).collect();
    verify_svid(&chain, anchors, &Default::default(), now).is_ok()
}

#[test]
fn each_workload_with_a_proxy_has_a_key_of_its_own_while_it_is_there() {
    let (mut minter, _) = minter(&Mesh::new(), 300);
    minter.handle_workloads(&[
        workload("shop/a-1", "a", true),
        workload("shop/a-2", "a", true),
        workload("shop/b-1", "b", false),
    ]);
    let news = minter.handle_time(both(NOW), || 0.0);
    assert_eq!((news.secrets.len(), news.holders), (2, true));
    let id = |minter: &Minter, at: &str| minter.held[&name(at)].svid.id.to_string();
    let key = |minter: &Minter, at: &str| minter.held[&name(at)].svid.key.thumbprint();
    assert_eq!(id(&minter, "shop/a-1"), "spiffe://store-1.mesh.local/ns/shop/sa/a");
    assert_eq!(id(&minter, "shop/a-1"), id(&minter, "shop/a-2"));
    assert_ne!(key(&minter, "shop/a-1"), key(&minter, "shop/a-2"));
    assert_eq!(minter.handle_time(both(NOW), || 0.0), News::default());

    let before = key(&minter, "shop/a-1");
    minter.handle_workloads(&[workload("shop/a-1", "other", true)]);
    assert_eq!(minter.held.len(), 0, "what nobody needs any more is gone");
    minter.handle_time(both(NOW), || 0.0);
    assert_eq!(id(&minter, "shop/a-1"), "spiffe://store-1.mesh.local/ns/shop/sa/other");
    assert_ne!(key(&minter, "shop/a-1"), before);
}

#[test]
fn without_an_enrolment_nobody_has_anything() {
    let mut minter = Minter::default();
    minter.handle_workloads(&[workload("shop/a-1", "a", true)]);
    assert_eq!(minter.handle_time(both(NOW), || 0.0), News::default());
    assert_eq!(minter.identity(&name("shop/a-1")), Identity::NotEnrolled);
    assert_eq!(minter.until_due(both(NOW)), None);
}

/// A lost identity opens nothing that was closed to plain text.
#[test]
fn a_lost_identity_is_not_one_that_never_was() {
    let mut minter = Minter::default();
    minter.handle_lost();
    minter.handle_enrolment(None, both(NOW));
    minter.handle_workloads(&[workload("shop/a-1", "a", true)]);
    assert_eq!(minter.handle_time(both(NOW), || 0.0), News::default());
    assert_eq!(minter.identity(&name("shop/a-1")), Identity::Missing);
    minter.handle_enrolment(Some(Arc::new(Mesh::new().enrol(NOW, 300))), both(NOW));
    assert!(minter.handle_time(both(NOW), || 0.0).holders);
    assert!(matches!(minter.identity(&name("shop/a-1")), Identity::Held(_)));
}

/// A site that is cut off: certificates are renewed in time until the authority ends, and not past it.
#[test]
fn certificates_are_renewed_in_time_up_to_the_end_of_the_authority() {
    let (mut minter, anchors) = minter(&Mesh::new(), 252);
    let (mut mints, mut shortest) = (0, u64::MAX);
    for step in 0..252 * 6 {
        let now = Timestamp(NOW.0 + step * 600_000);
        let due = minter.until_due(both(now)).unwrap();
        let news = minter.handle_time(both(now), || 0.5);
        assert_eq!(due.is_zero(), !news.secrets.is_empty(), "at step {step}");
        mints += news.secrets.len();
        assert!(is_good(&minter, &anchors, now), "at step {step}");
        let end = minter.held[&name("shop/a-1")].svid.certificate().not_after();
        assert!(end <= at(252));
        if end < at(252) {
            shortest = shortest.min(end.0 - now.0);
        }
    }
    assert_eq!(mints, 33, "every 7.2 hours, a third of a day less a tenth, looked at every 10 minutes");
    assert!(shortest > 16 * 3_600_000, "two thirds of its life are left at any time");

    let past = at(253);
    assert!(minter.handle_time(both(past), || 0.0).holders);
    assert_eq!(minter.identity(&name("shop/a-1")), Identity::Missing);
    assert!(minter.problems(both(past))[0].contains("the authority of site store-1 is over"));
    assert_eq!(minter.until_due(both(past)), None, "nothing can be minted");

    minter.handle_enrolment(Some(Arc::new(Mesh::new().enrol(past, 252))), both(past));
    assert!(minter.handle_time(both(past), || 0.0).holders);
    assert!(matches!(minter.identity(&name("shop/a-1")), Identity::Held(_)));
}

#[test]
fn a_new_authority_signs_anew_and_waits_for_its_root_to_be_known() {
    let mesh = Mesh::new();
    let (mut minter, anchors) = minter(&mesh, 300);
    minter.handle_time(both(NOW), || 0.0);
    let first = serial(&minter);

    // By the root that all know.
    minter.handle_enrolment(Some(Arc::new(mesh.enrol(NOW, 300))), both(NOW));
    assert!(!minter.is_spreading());
    minter.handle_time(both(NOW), || 0.0);
    assert_ne!(serial(&minter), first);
    assert!(is_good(&minter, &anchors, NOW));

    // By a root that nobody knows yet.
    let new = Mesh::new();
    let renewed = || {
        let mut renewed = new.enrol(NOW, 300);
        renewed.mesh_roots.push(mesh.root());
        Some(Arc::new(renewed))
    };
    let second = serial(&minter);
    minter.handle_enrolment(renewed(), both(NOW));
    let news = minter.handle_time(both(NOW), || 0.0);
    assert_eq!((serial(&minter), news.secrets.len()), (second.clone(), 1), "the roots alone are new");
    assert_eq!(minter.until_due(both(NOW)), Some(SPREAD));
    minter.handle_spread(both(NOW));
    minter.handle_time(both(NOW), || 0.0);
    assert_eq!(serial(&minter), second, "a handshake may be under way");
    assert_eq!((minter.until_due(both(NOW)), minter.is_spreading()), (Some(SETTLE), false));
    let settled = after(NOW, SETTLE / 2);
    minter.handle_spread(both(settled));
    assert_eq!(minter.until_due(both(settled)), Some(SETTLE / 2), "said again, it waits no longer for it");
    minter.handle_time(both(after(NOW, SETTLE)), || 0.0);
    assert_ne!(serial(&minter), second);
    assert!(!is_good(&minter, &anchors, NOW));
    assert!(is_good(&minter, &Anchors { roots: vec![new.root()], ..anchors }, NOW));

    // Where a proxy says nothing, for a while.
    let third = serial(&minter);
    let other = Mesh::new();
    minter.handle_enrolment(Some(Arc::new(other.enrol(NOW, 300))), both(NOW));
    minter.handle_time(both(NOW), || 0.0);
    assert_eq!(serial(&minter), third);
    minter.handle_time(both(after(NOW, SPREAD)), || 0.0);
    assert_ne!(serial(&minter), third);
}

/// Time that passes for a minter.
struct Watch(Timestamp);

impl Watch {
    fn pass(&mut self, minter: &mut Minter, time: Duration) -> Clocks {
        self.0 = after(self.0, time);
        minter.handle_time(both(self.0), || 0.0);
        both(self.0)
    }
}

fn roots(minter: &Minter) -> Vec<Certificate> {
    minter.roots.as_ref().unwrap().certificates.clone()
}

/// Roots go when nothing below them is shown any more: at the end of a rotation, and where a site hears of all of it at once.
#[test]
fn a_root_is_believed_until_no_proxy_shows_anything_below_it() {
    let (old, new) = (Mesh::new(), Mesh::new());
    for in_steps in [true, false] {
        let (mut minter, anchors) = minter(&old, 300);
        let (by_old, by_new) = (anchors.clone(), Anchors { roots: vec![new.root()], ..anchors });
        let mut watch = Watch(NOW);
        let mut clocks = watch.pass(&mut minter, Duration::ZERO);
        if in_steps {
            let mut renewed = new.enrol(NOW, 300);
            renewed.mesh_roots.push(old.root());
            minter.handle_enrolment(Some(Arc::new(renewed)), clocks);
            watch.pass(&mut minter, Duration::ZERO);
            clocks = watch.pass(&mut minter, SPREAD);
            assert!(is_good(&minter, &by_new, NOW));
        }
        minter.handle_enrolment(Some(Arc::new(new.enrol(NOW, 300))), clocks);
        clocks = watch.pass(&mut minter, Duration::ZERO);
        assert_eq!(roots(&minter), [new.root(), old.root()], "{in_steps}: proxies show what is below it");
        if !in_steps {
            assert!(is_good(&minter, &by_old, NOW), "the new root is not known yet");
            minter.handle_spread(clocks);
            clocks = watch.pass(&mut minter, SETTLE);
        }
        assert!(is_good(&minter, &by_new, NOW) && minter.is_spreading());
        assert_eq!(roots(&minter), [new.root(), old.root()], "{in_steps}: on their way to the proxies");
        assert_eq!(
            minter.until_due(clocks),
            Some(SPREAD),
            "a proxy that says nothing holds it up for a while"
        );
        minter.handle_spread(clocks);
        assert_eq!((minter.until_due(clocks), minter.is_spreading()), (Some(SETTLE), false));
        watch.pass(&mut minter, SETTLE);
        assert_eq!(roots(&minter), [new.root()]);
        assert!(!minter.issued().roots.iter().any(|(_, ders)| ders.len() > new.root().der().len()));
    }
}

/// A site that is revoked: proxies believe its workloads no more, and what workloads are told of domains stays as it is.
#[test]
fn a_site_that_is_revoked_is_believed_no_more() {
    let mesh = Mesh::new();
    let (mut minter, _) = minter(&mesh, 300);
    minter.believed = ["bergen", "tromso"].map(|name| SiteId::new(name).unwrap()).into();
    minter.handle_time(both(NOW), || 0.0);
    let told = minter.issued().roots;
    let domains = |minter: &Minter| minter.roots.as_ref().unwrap().domains.clone();
    assert_eq!(domains(&minter), ["store-1.mesh.local", "bergen.mesh.local", "tromso.mesh.local"]);

    let mut renewed = mesh.enrol(NOW, 300);
    renewed.revoked_sites.insert(SiteId::new("bergen").unwrap());
    minter.handle_enrolment(Some(Arc::new(renewed)), both(NOW));
    let news = minter.handle_time(both(NOW), || 0.0);
    assert_eq!(domains(&minter), ["store-1.mesh.local", "tromso.mesh.local"]);
    assert_eq!(news.secrets, BTreeSet::from([name("shop/a-1")]), "its proxy is told at once");
    assert_eq!(minter.issued().roots, told);
}

#[test]
fn a_clock_that_cannot_be_right_stops_nothing_and_is_said() {
    for wall in [Timestamp(0), Timestamp(2_145_916_800_000), Timestamp(u64::MAX)] {
        let (mut minter, anchors) = minter(&Mesh::new(), 300);
        let clocks = Clocks { trusted: NOW, wall };
        minter.handle_time(clocks, || 0.0);
        assert!(is_good(&minter, &anchors, NOW));
        assert_eq!(minter.roots.as_ref().unwrap().dates, Dates::Ignored);
        assert!(minter.problems(clocks)[0].starts_with("ClockSuspect: "));
        let news = minter.handle_time(both(NOW), || 0.0);
        assert_eq!((news.secrets.len(), minter.roots.as_ref().unwrap().dates), (1, Dates::Checked));
        assert_eq!(minter.problems(both(NOW)), Vec::<String>::new());
    }
}

#[test]
fn after_a_time_switched_off_certificates_are_good_by_either_clock() {
    let (mut minter, anchors) = minter(&Mesh::new(), 300);
    let clocks = Clocks { trusted: NOW, wall: at(60) };
    minter.handle_time(clocks, || 0.0);
    assert!(is_good(&minter, &anchors, NOW) && is_good(&minter, &anchors, at(80)));
    assert_eq!(minter.roots.as_ref().unwrap().dates, Dates::Checked);
    assert_eq!(minter.until_due(clocks), Some(HOUR * 8));
}

#[test]
fn what_can_have_no_name_is_said_and_hurts_only_itself() {
    let (mut minter, _) = minter(&Mesh::new(), 300);
    minter.handle_workloads(&[workload("shop/a-1", "a", true), workload("shop/b-1", "B/..", true)]);
    assert_eq!(minter.handle_time(both(NOW), || 0.0).secrets.len(), 1);
    assert_eq!(minter.identity(&name("shop/b-1")), Identity::Missing);
    assert!(minter.problems(both(NOW))[0].starts_with("workload shop/b-1 has no identity: "));
    assert_eq!(minter.until_due(both(NOW)), Some(RETRY));
}
