//! Tells sites that whom they shall believe has changed, where they say that they have another version of that.
//!
//! Must not decide what they shall believe (`identity`).

use skerry_core::id::SiteId;
use skerry_proto::v1::TrustNews;
use tokio::sync::watch;

use crate::identity::desk::Desk;

/// What one stream is told of the version of trust.
#[derive(Debug)]
pub(super) struct TrustLine {
    versions: watch::Receiver<u64>,
    /// What the site says that it has; 0: it does not say, and is told nothing.
    has: u64,
    /// What it was told last.
    told: u64,
}

impl TrustLine {
    /// Begins with what the site's hello says.
    pub(super) fn new(desk: &Desk, site: &SiteId, has: u64) -> Self {
        let mut versions = desk.trust_versions();
        versions.mark_changed();
        desk.note_greeting(site, has);
        desk.note_trust(site, has);
        Self { versions, has, told: 0 }
    }

    /// The site says that it has another one by now.
    pub(super) fn handle_said(&mut self, desk: &Desk, site: &SiteId, has: u64) {
        if has != 0 {
            self.has = has;
            desk.note_trust(site, has);
        }
    }

    /// Waits until there may be something to say.
    pub(super) async fn changed(&mut self) {
        if self.versions.changed().await.is_err() {
            // The desk has the sending end, and is there for as long as the core.
            std::future::pending::<()>().await;
        }
    }

    /// Returns what is to be said now, once for each version.
    pub(super) fn poll_news(&mut self, desk: &Desk) -> Option<TrustNews> {
        let own = *self.versions.borrow_and_update();
        let news = news(desk, own, self.has).filter(|_| self.told != own);
        if news.is_some() {
            self.told = own;
        }
        news
    }
}

/// What a site is told in one answer that says what it has.
pub(super) fn answer(desk: &Desk, site: &SiteId, has: u64) -> Option<TrustNews> {
    desk.note_greeting(site, has);
    desk.note_trust(site, has);
    news(desk, *desk.trust_versions().borrow(), has)
}

/// Nothing where there is nothing new, so that it costs nothing: a site that comes back says and hears two numbers at most.
fn news(desk: &Desk, own: u64, has: u64) -> Option<TrustNews> {
    let is_news = has != 0 && has != own;
    is_news.then(|| TrustNews { version: own, spread_seconds: desk.spread_seconds() })
}
