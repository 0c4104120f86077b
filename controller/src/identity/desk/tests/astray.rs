//! A core whose identity was put back from an old copy, and the sites that went on meanwhile.

use super::rotation::{Site, rotate, rotate_without};
use super::*;
use crate::identity::astray::{Astray, Versions, Why};
use crate::identity::rotation::{Order, TrustKey, Waits};

/// What is on disk of a world.
fn copy(world: &World) -> Vec<u8> {
    fs_err::read(world.folder.path().join("identity.redb")).unwrap()
}

/// The world after that was put back.
fn put_back(world: World, copy: &[u8]) -> World {
    fs_err::write(world.folder.path().join("identity.redb"), copy).unwrap();
    world.restart()
}

/// A whole rotation of the manifest key: two more versions of the trust root.
fn rotate_all(world: &World, site: Option<&mut Site>) {
    let mut site = site;
    for _ in 0..3 {
        rotate_without(world, TrustKey::ManifestKey, Order::LeaveBehind, "oslo").unwrap();
        if let Some(site) = &mut site {
            site.renew(world);
        }
    }
}

/// A site that has gone through a rotation with its core, and what was on the core's disk before that.
fn gone_further() -> (World, Site, Vec<u8>) {
    let world = World::new();
    let mut oslo = Site::enrol(&world, "oslo");
    let old = copy(&world);
    rotate_all(&world, Some(&mut oslo));
    (world, oslo, old)
}

fn noted(world: &World, site: &SiteId) -> Option<Why> {
    world.desk.entry(site).0.unwrap().astray.map(|astray: Astray| astray.why)
}

/// It lives on, it is noted over a restart of the core, and it counts for nothing.
#[test]
fn a_site_that_the_core_does_not_remember_as_it_is_renews_and_is_noted() {
    let (world, mut oslo, old) = gone_further();
    let newest = copy(&world);
    assert_eq!((oslo.said().version, noted(&world, &oslo.name)), (3, None));

    let world = put_back(world, &old);
    oslo.renew(&world);
    assert!(oslo.handed.agent.not_after() > NOW, "it is given what it needs to live on");
    assert_eq!(noted(&world, &oslo.name), Some(Why::NewerRoot(Versions { site: 3, core: 1 })));
    let error = rotate(&world, TrustKey::ManifestKey, Order::Next).unwrap_err();
    assert!(matches!(error, NotRotated::Waits(Waits::Astray { .. })), "a key more makes it worse: {error}");

    rotate_all(&world, None);
    oslo.renew(&world);
    let other = Some(Why::OtherRoot(Versions { site: 3, core: 3 }));
    assert_eq!((noted(&world, &oslo.name), oslo.believes(&world.desk)), (other, false));
    let world = world.restart();
    assert_eq!(noted(&world, &oslo.name), other, "also before it comes again");
    world.desk.note_trust(&oslo.name, world.desk.trust_version());
    let rotated = rotate(&world, TrustKey::MeshRoot, Order::LeaveBehind).unwrap();
    assert_eq!(rotated.now.behind.astray, [oslo.name.clone()], "it says that it has everything");

    let world = put_back(world, &newest);
    oslo.renew(&world);
    assert_eq!((noted(&world, &oslo.name), oslo.believes(&world.desk)), (None, true));
}

/// What was noted goes with the next renewal where the cause is gone: the core's versions have gone past the site's in the same way.
#[test]
fn a_site_that_is_led_on_again_is_astray_no_more() {
    let (world, mut oslo, old) = gone_further();
    let newest = copy(&world);
    let world = put_back(world, &old);
    oslo.renew(&world);
    assert!(noted(&world, &oslo.name).is_some());
    // The roll that has the note, with the keys of the newest copy.
    let world = put_back(world, &newest);
    let astray = Astray { at: NOW, why: Why::NewerRoot(Versions { site: 3, core: 1 }) };
    world.desk.roll.write().note_astray(&oslo.name, Some(astray));
    oslo.renew(&world);
    assert_eq!((noted(&world, &oslo.name), oslo.believes(&world.desk)), (None, true));
    assert_eq!(noted(&world.restart(), &oslo.name), None);
}

/// A box that is enrolled in its place begins with the trust root of this core.
#[test]
fn a_site_that_is_enrolled_anew_is_astray_no_more() {
    let (world, mut oslo, old) = gone_further();
    let world = put_back(world, &old);
    oslo.renew(&world);
    assert_eq!(world.desk.astray().len(), 1);
    Machine::new().enrol(&world.desk, &oslo.name, &world.token(true).unwrap()).unwrap();
    assert_eq!(world.desk.astray(), []);
}
