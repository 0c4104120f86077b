//! Minting and checking identities: what a site does when its certificates are renewed, and each peer at a handshake.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, MeshRoot, SiteCa, Svid};
use skerry_identity::csr::{self, ProvenKey};
use skerry_identity::key::EcdsaKey;
use skerry_identity::lifetimes::{Ceilings, DEFAULT_BUDGET, Lifetimes, ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::verify::{Anchors, verify_svid};

use super::{Args, Row};

const COUNT: u32 = 1_000;

/// 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Measures one thread.
pub(super) fn measure(_: &Args) -> Result<Vec<Row>> {
    let mesh = MeshDomain::new("mesh.local")?;
    let lifetimes = Lifetimes::for_budget(DEFAULT_BUDGET, &Ceilings::NEW)?;
    let root = MeshRoot::create(&mesh, &Validity::starting(NOW, ROOT))?;
    let site = SiteId::new("oslo")?;
    let requests =
        (0..COUNT).map(|_| Ok(csr::create(&EcdsaKey::generate()?)?)).collect::<Result<Vec<_>>>()?;
    let validity = Validity::starting(NOW, lifetimes.site_ca);
    let signing = timed(|| {
        requests.iter().try_for_each(|request| {
            root.sign_site(&site, &csr::verify(request)?, &validity)?;
            Ok(())
        })
    })?;
    let key = EcdsaKey::generate()?;
    let certificate = root.sign_site(&site, &ProvenKey::from(&key), &validity)?;
    let authority = SiteCa::load(&mesh, &site, certificate, key)?;
    let mut svids = Vec::new();
    let minting = timed(|| {
        svids = mint(&authority, lifetimes.svid)?;
        Ok(())
    })?;
    let verifying = verify(&svids, &Anchors { mesh, roots: vec![root.certificate().clone()] })?;
    Ok(vec![
        row("mint 1,000 SVIDs, new keys and certificates", minting).wanted("≤ 1 s"),
        row("verify 1,000 chains of workloads", verifying),
        row("verify 1,000 requests and sign a site's authority for each", signing),
    ])
}

/// Rotation is the same again.
fn mint(authority: &SiteCa, lasts: Duration) -> Result<Vec<Svid>> {
    let validity = Validity::starting(NOW, lasts);
    (0..COUNT).map(|index| Ok(authority.mint("shop", &format!("account-{index}"), &validity)?)).collect()
}

fn verify(svids: &[Svid], anchors: &Anchors) -> Result<Duration> {
    let chains: Vec<_> =
        svids.iter().map(|svid| svid.chain.each_ref().map(|certificate| certificate.der().clone())).collect();
    timed(|| {
        chains.iter().try_for_each(|chain| {
            verify_svid(chain, anchors, &BTreeSet::new(), NOW)?;
            Ok(())
        })
    })
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn row(what: &str, took: Duration) -> Row {
    Row::new(what, format!("{} ms", took.as_millis()))
}
