//! Step: an override for one site; the others do not notice.

use anyhow::{Result, ensure};

use super::short;
use crate::demo::narrator::Shown;
use crate::demo::stage::{DEADLINE, OVERRIDDEN, SITES, Stage};

/// The override: all of `checkout` from version 2, where `region` is `west`.
const OVERRIDE: &str = "\
# In the west, everybody gets version 2.
apiVersion: skerry.dev/v1alpha1
kind: SiteOverride
metadata:
  name: west-gets-v2
  namespace: shop
spec:
  sites:
    matchLabels: {region: west}
  precedence: 10
  patches:
    - target: {kind: HTTPRoute, name: checkout}
      json:
        - {op: replace, path: /spec/rules/0/backendRefs/0/weight, value: 0}
        - {op: replace, path: /spec/rules/0/backendRefs/1/weight, value: 100}
        - {op: replace, path: /spec/rules/0/filters/0/responseHeaderModifier/set/0/value, value: west}
";

/// Requests at each site: were the split still 90 to 10, 60 answers of one version would be one in a thousand.
const REQUESTS: u32 = 60;

pub(super) async fn show(stage: &mut Stage) -> Result<Shown> {
    let before = stage.core.fleet().await?;
    stage.repo.write("shop/west.yaml", OVERRIDE)?;
    let revision = stage.publish("shop: the west gets checkout v2").await?;
    stage.wait_for_release("west", &[OVERRIDDEN]).await?;
    let versions = stage.site(OVERRIDDEN)?.split(REQUESTS).await?;
    ensure!(versions.keys().eq(["v2"]), "{OVERRIDDEN} still has others than v2: {versions:?}");
    let after = stage.core.compiled(&revision, DEADLINE).await?;
    for site in SITES.into_iter().filter(|site| *site != OVERRIDDEN) {
        let answer = stage.site(site)?.ask("/").await?;
        ensure!(answer.release == "split", "{site} sees release {}", answer.release);
        let same = before.site(site)?.desired == after.site(site)?.desired;
        ensure!(same, "{site} was sent a new manifest, though the commit does not concern it");
    }
    let line = format!("{}: an override, and {OVERRIDDEN} alone gets only checkout v2", short(&revision));
    Ok(Shown::new(line).detail("the manifests of oslo and tromso are the same bytes as before (invariant 2)"))
}
