//! An agent inside the test's own process: the same tasks, without the command line.

use std::path::Path;
use std::sync::Arc;

use skerry_agent::app::App;
use skerry_agent::args::{LinkMode, XdsVariant};
use skerry_agent::config::{CONFIRM_DEADLINE, Config, Launcher, OnExit};
use skerry_agent::enrolment::Enrolment;
use skerry_agent::layout::Layout;
use skerry_core::id::SiteId;
use skerry_identity::trust_root::PolicyDemand;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::core::Core;
use crate::site::Site;

/// A running agent; it ends when it is dropped.
pub(crate) struct Inside {
    renewed: watch::Sender<Option<Arc<Enrolment>>>,
    _task: JoinSet<anyhow::Result<()>>,
    _end: DropGuard,
}

impl Inside {
    /// Hands it what the site has from now on.
    pub(crate) fn renew(&self, enrolment: Enrolment) {
        self.renewed.send_replace(Some(Arc::new(enrolment)));
    }
}

impl Site {
    /// Starts an agent here.
    pub(crate) fn run_inside(&mut self, core: &Core, envoy: &Path) -> Inside {
        let config = Config {
            site: SiteId::new("store-1").unwrap(),
            core: Some(format!("https://{}", core.address)),
            layout: Layout::new(self.data()),
            workloads: self.folder.path().join("workloads"),
            workload_socket: Layout::new(self.data()).workload_socket(),
            envoy: Some(envoy.to_owned()),
            xds: XdsVariant::Delta,
            link: LinkMode::Stream,
            pull_interval: std::time::Duration::from_secs(1),
            confirm_deadline: CONFIRM_DEADLINE,
            policy: PolicyDemand::AsRoot,
            on_exit: OnExit::LeaveProxies,
            launcher: Launcher { program: env!("CARGO_BIN_EXE_skerry-agent").into(), verb: Some("launch") },
            log: "info".to_owned(),
        };
        let cancel = CancellationToken::new();
        let app = App::build(config, cancel.clone()).unwrap();
        let renewed = app.enrolment();
        let mut task = JoinSet::new();
        task.spawn(app.run());
        Inside { renewed, _task: task, _end: cancel.drop_guard() }
    }
}
