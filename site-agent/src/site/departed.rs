//! What a workload leaves behind when it goes: its proxy's folder, and the count of its ends.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::Site;
use crate::launcher::remove_folder;
use crate::layout::ProxyDir;

impl Site {
    /// Deletes the folders of workloads that are gone. Only when it is sure which ones are: there is a
    /// bundle, and the workload folder was read (invariant 6). The site does it, not who saw that no
    /// launcher runs: it alone prepares folders, so one that is needed again is not taken away.
    pub(super) fn handle_vacant(&mut self, folders: &BTreeSet<ProxyDir>) {
        if self.current.is_none() || self.workloads_are_partial {
            return;
        }
        let proxied = || self.workloads.iter().filter(|workload| workload.proxy.is_some());
        let kept: BTreeSet<ProxyDir> =
            proxied().map(|workload| self.publisher.folder(&workload.name)).collect();
        let departed: Vec<&ProxyDir> = folders.difference(&kept).collect();
        for folder in &departed {
            match remove_folder(folder) {
                Ok(()) => info!("deleted {}: its workload is gone", folder.path().display()),
                Err(error) => warn!("the folder of a workload that is gone stays: {error}"),
            }
        }
        let names: BTreeSet<String> = proxied().map(|workload| workload.name.to_string()).collect();
        if !departed.is_empty()
            && let Err(error) = self.store.retain_ends(&names)
        {
            warn!("counts of workloads that are gone stay: {error}");
        }
    }
}
