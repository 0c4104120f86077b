//! The steps of the demo, one file for each, in the order in which they are shown.

use anyhow::Result;

use super::narrator::Narrator;
use super::stage::Stage;

mod bad_commit;
mod cut_off;
mod first_commit;
mod link_back;
mod site_override;
mod split;

/// Shows every step; the first that is not as told ends the demo.
pub(super) async fn show_all(stage: &mut Stage, narrator: &Narrator) -> Result<()> {
    narrator.step("the first commit reaches all sites", first_commit::show(stage)).await?;
    narrator.step("one request in ten goes to version 2", split::show(stage)).await?;
    narrator.step("one site is different", site_override::show(stage)).await?;
    narrator.step("a bad commit is refused", bad_commit::show(stage)).await?;
    narrator.step("a site is cut off", cut_off::commits_pass(stage)).await?;
    narrator.step("the cut-off site starts anew", cut_off::start_anew(stage)).await?;
    narrator.aside(|| stage.status_table())?;
    narrator.step("the link is back", link_back::show(stage)).await
}

/// A revision, short enough to read: `main@1a2b3c4d`.
fn short(revision: &str) -> String {
    skerry_core::id::Revision::from_text(revision).short()
}
