//! Step: nine in ten requests go to version 1 of `checkout`, one in ten to version 2, at every site.

use anyhow::{Result, ensure};

use super::short;
use crate::demo::narrator::Shown;
use crate::demo::stage::{ROUTE, SITES, Stage};

/// Requests at each site.
const REQUESTS: u32 = 400;
/// How many of them may go to version 2. With a chance of 0.1 the mean is 40 and the deviation 6:
/// these bounds are five deviations away, which is one run in a million.
const TO_V2: std::ops::RangeInclusive<u32> = 10..=70;

pub(super) async fn show(stage: &mut Stage) -> Result<Shown> {
    stage.repo.replace(
        ROUTE,
        "checkout-v1, port: 8080, weight: 100",
        "checkout-v1, port: 8080, weight: 90",
    )?;
    stage.repo.replace(ROUTE, "checkout-v2, port: 8080, weight: 0", "checkout-v2, port: 8080, weight: 10")?;
    stage.set_release("first", "split")?;
    let revision = stage.publish("shop: one request in ten to checkout v2").await?;
    stage.wait_for_release("split", &SITES).await?;
    let mut counts = Vec::new();
    for site in &stage.sites {
        let to_v2 = site.split(REQUESTS).await?.get("v2").copied().unwrap_or_default();
        ensure!(
            TO_V2.contains(&to_v2),
            "{to_v2} of {REQUESTS} requests at {} went to v2, not about 40",
            site.name
        );
        counts.push(format!("{} {to_v2}", site.name));
    }
    let line = format!("{}: 90 % to checkout v1, 10 % to v2, at every site", short(&revision));
    Ok(Shown::new(line)
        .detail(format!("of {REQUESTS} requests at each site, v2 answered: {}", counts.join(", "))))
}
