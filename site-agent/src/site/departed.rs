//! What a workload leaves behind when it goes: its proxy's folder, and the count of its ends.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use super::Site;
use crate::clock::Now;
use crate::launcher::remove_folder;
use crate::layout::ProxyDir;

/// How long the folder of a workload that is gone stays: its file may only be written anew.
const GRACE: Duration = Duration::from_secs(15);

impl Site {
    /// No launcher runs in these folders. Those of workloads that are gone are deleted after a while.
    pub(super) fn handle_vacant(&mut self, now: Now, folders: BTreeSet<ProxyDir>) {
        let since = |folder: &ProxyDir| self.vacant.get(folder).copied().unwrap_or(now);
        self.vacant = folders.into_iter().map(|folder| (folder.clone(), since(&folder))).collect();
        self.delete_departed(now);
    }

    /// Returns when there is a folder to delete.
    pub(super) fn poll_departed(&self) -> Option<Now> {
        if !self.knows_workloads() {
            return None;
        }
        let kept = self.kept_folders();
        let departed = self.vacant.iter().filter(|(folder, _)| !kept.contains(*folder));
        departed.map(|(_, since)| *since + GRACE).min()
    }

    /// The workloads are about to change: the time of those that are there until now begins when they go.
    pub(super) fn note_kept(&mut self, now: Now) {
        for folder in self.kept_folders() {
            self.vacant.entry(folder).and_modify(|since| *since = now);
        }
    }

    /// Deletes the folders of workloads that are gone for good. The site does it, not who saw that no launcher runs: it
    /// alone prepares folders, so one that is needed again is not taken away.
    pub(super) fn delete_departed(&mut self, now: Now) {
        if !self.knows_workloads() {
            return;
        }
        let kept = self.kept_folders();
        let is_over = |(folder, since): &(&ProxyDir, &Now)| !kept.contains(*folder) && now >= **since + GRACE;
        let departed: Vec<ProxyDir> =
            self.vacant.iter().filter(is_over).map(|(folder, _)| folder.clone()).collect();
        for folder in &departed {
            self.vacant.remove(folder);
            match remove_folder(folder) {
                Ok(()) => info!("deleted {}: its workload is gone", folder.path().display()),
                Err(error) => {
                    warn!("the folder of a workload that is gone stays: {error}");
                    self.vacant.insert(folder.clone(), now);
                }
            }
        }
        let proxied = self.workloads.iter().filter(|workload| workload.proxy.is_some());
        let names: BTreeSet<String> = proxied.map(|workload| workload.name.to_string()).collect();
        if !departed.is_empty()
            && let Err(error) = self.store.retain_ends(&names)
        {
            warn!("counts of workloads that are gone stay: {error}");
        }
    }

    /// Says whether it is sure which workloads there are: there is a bundle, and their folder was read (invariant 6).
    fn knows_workloads(&self) -> bool {
        self.current.is_some() && !self.workloads_are_partial
    }

    fn kept_folders(&self) -> BTreeSet<ProxyDir> {
        let proxied = self.workloads.iter().filter(|workload| workload.proxy.is_some());
        proxied.map(|workload| self.publisher.folder(&workload.name)).collect()
    }
}
