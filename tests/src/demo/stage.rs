//! Everything that the demo sets up: a policy repository, a core, three sites.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::site::Site;
use crate::fleet::{Core, skerry};
use crate::repo::PolicyRepo;
use crate::run::Run;

/// How long anything may take to be seen: long enough for a machine that builds something else at the same time.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
/// The sites of the demo, by name.
pub(super) const SITES: [&str; 3] = ["oslo", "bergen", "tromso"];
/// The site that gets an override.
pub(super) const OVERRIDDEN: &str = "bergen";
/// The site whose link is cut.
pub(super) const REMOTE: &str = "tromso";
/// The route of `checkout` in the policy repository.
pub(super) const ROUTE: &str = "shop/checkout-route.yaml";

/// What is set up.
pub(super) struct Stage {
    run: Arc<Run>,
    pub repo: PolicyRepo,
    pub core: Core,
    pub sites: Vec<Site>,
}

impl Stage {
    /// Starts everything. The policy repository is still empty.
    pub(super) async fn set_up(run: &Arc<Run>) -> Result<Self> {
        let repo = PolicyRepo::init(run.folder())?;
        let mut core = Core::new(run, "core", &repo.url())?.of_mesh("skerry.example");
        core.start().await?;
        let mut sites = Vec::new();
        for name in SITES {
            sites.push(Site::set_up(run, &core, name).await?);
        }
        Ok(Self { run: Arc::clone(run), repo, core, sites })
    }

    /// One site.
    pub(super) fn site(&self, name: &str) -> Result<&Site> {
        self.sites.iter().find(|site| site.name == name).with_context(|| format!("there is no site {name}"))
    }

    /// One site, to be changed.
    pub(super) fn site_mut(&mut self, name: &str) -> Result<&mut Site> {
        self.sites
            .iter_mut()
            .find(|site| site.name == name)
            .with_context(|| format!("there is no site {name}"))
    }

    /// Commits, pushes and tells the core, as a forge does; returns the revision.
    pub(super) async fn publish(&mut self, message: &str) -> Result<String> {
        let revision = self.repo.publish(message)?;
        self.core.notify().await?;
        Ok(revision)
    }

    /// Changes the header that tells the release, so that clients can see which one they met.
    pub(super) fn set_release(&self, old: &str, new: &str) -> Result<()> {
        self.repo.replace(ROUTE, &format!("value: {old}"), &format!("value: {new}"))
    }

    /// Waits until clients at these sites see a release.
    pub(super) async fn wait_for_release(&self, release: &str, sites: &[&str]) -> Result<()> {
        for site in sites {
            self.site(site)?.wait_for_release(release).await?;
        }
        Ok(())
    }

    /// What `skerry status` prints.
    pub(super) fn status_table(&self) -> Result<String> {
        let mut command = skerry(&self.run, self.core.address())?;
        let output = command.arg("status").output().context("cannot start skerry")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`skerry status` ended with {}: {errors}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What one can try while everything is up.
    pub(super) fn invitation(&self) -> Vec<String> {
        let skerry = self
            .run
            .binaries()
            .ours("skerry")
            .map_or_else(|_| "skerry".into(), |path| path.display().to_string());
        let mut lines = vec![
            format!("SKERRY_CREDENTIALS={} {skerry} status", shown(&self.core.data().join("operator.json"))),
            format!(
                "cd {} && $EDITOR {ROUTE} && git commit -am 'try this' && git push origin main",
                shown(self.repo.work())
            ),
        ];
        for site in &self.sites {
            lines.push(format!("curl http://{}/    # as the frontend of {}", site.checkout, site.name));
        }
        lines.extend(
            self.sites
                .first()
                .map(|site| format!("ls {}    # the workloads of {}", shown(&site.workloads()), site.name)),
        );
        lines.push(format!("ls {}    # logs", shown(self.run.folder())));
        lines
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
