//! A real Envoy that runs from one self-contained bootstrap and nothing else.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::process::Process;
use crate::run::Run;
use crate::wait::eventually;

/// An Envoy that was started with `-c`.
#[derive(Debug)]
pub struct StaticEnvoy {
    process: Process,
}

impl StaticEnvoy {
    /// Writes the bootstrap (JSON) to the run's folder, starts Envoy from it and waits until it listens.
    pub async fn start(run: &Arc<Run>, name: &str, bootstrap: &str, listens: SocketAddr) -> Result<Self> {
        let path = run.folder().join(format!("{name}.json"));
        fs_err::write(&path, bootstrap)?;
        let mut command = Command::new(run.binaries().envoy()?);
        command.arg("-c").arg(&path).args([
            "--log-level",
            "warn",
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
        ]);
        let mut process = run.spawn(name, &mut command)?;
        eventually("Envoy listens", Duration::from_secs(60), async || {
            process.must_run()?;
            drop(tokio::net::TcpStream::connect(listens).await?);
            Ok(())
        })
        .await?;
        Ok(Self { process })
    }

    /// Fails, with its last words, when it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }
}
