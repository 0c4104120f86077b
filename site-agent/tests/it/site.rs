//! One site: folders of its own, the agent's real binary, and what is left of it in the end.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use skerry_agent::enrolment::Enrolment;
use skerry_core::id::SiteId;
use skerry_identity::ca::{Authority as _, MeshRoot, SiteCa};
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::{EcdsaKey, SigningKey};
use skerry_identity::lifetimes::ROOT;
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot, TrustedRoot};

use crate::bundle::PORT;
use crate::core::Core;
use crate::eventually::eventually;
use crate::http::get;
use crate::network::{claim, end_all, make_folder};
use crate::tls_core;

/// A site; it ends, with everything that was started for it, when it is dropped.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    /// The second octet of its part of 127/8.
    network: u8,
    /// The next /24 of it to give out; the first two are those of the client.
    next_range: AtomicU8,
    /// Held for the life of the site.
    _locks: [File; 2],
    arguments: Vec<String>,
    agent: Option<Child>,
    /// Holds the mount namespace that it lives in, if that is its own.
    disk: Option<Child>,
}

impl Site {
    /// Prepares a site of a core; starts nothing.
    pub(crate) fn new(core: &Core) -> Self {
        Self::at(&format!("https://{}", core.address))
    }

    /// Prepares a site of a core at an address.
    pub(crate) fn at(core: &str) -> Self {
        let (folder, lock) = make_folder();
        fs_err::create_dir(folder.path().join("workloads")).unwrap();
        let arguments = ["run", "--site", "store-1", "--core", core].map(str::to_owned);
        let (network, claim) = claim();
        let (next_range, locks) = (AtomicU8::new(2), [lock, claim]);
        Self {
            folder,
            network,
            next_range,
            _locks: locks,
            arguments: arguments.to_vec(),
            agent: None,
            disk: None,
        }
    }

    /// Adds options.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn proxy(&self, name: &str) -> PathBuf {
        self.data().join("proxies").join(format!("shop.{name}"))
    }

    pub(crate) fn admin(&self, name: &str, epoch: u32) -> PathBuf {
        self.seen(&self.proxy(name)).join(format!("admin.{epoch}.sock"))
    }

    /// Makes its box the one of the site, once.
    fn enrol_once(&self) {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = self.seen(&self.data());
        // A test may have put something else in its place.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        let identity = path.join("identity.json");
        if made.is_ok() && !identity.exists() {
            // A disk of the test's own may be full or read-only by now.
            let _ = enrolment("store-1", &self.arguments[4]).save(&identity);
        }
    }

    /// The command line of the agent.
    pub(crate) fn command(&self) -> Command {
        self.enrol_once();
        let mut command = Command::new(env!("CARGO_BIN_EXE_skerry-agent"));
        command.args(&self.arguments).arg("--data-dir").arg(self.data());
        command.arg("--workloads").arg(self.folder.path().join("workloads"));
        command.env_remove("ENVOY");
        command
    }

    /// Starts the agent; what it says goes to a file.
    pub(crate) fn start(&mut self) {
        let Some(disk) = &self.disk else {
            let command = self.command();
            return self.spawn(command);
        };
        // A file that is over a limit is an error then, as a full disk is, and not a signal.
        let namespace = format!("--mount=/proc/{}/ns/mnt", disk.id());
        self.start_under(&["nsenter", &namespace, "--", "sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    }

    /// Starts the agent as the last arguments of another program, which becomes it.
    pub(crate) fn start_under(&mut self, program: &[&str]) {
        let agent = self.command();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(agent.get_program()).args(agent.get_args()).env_remove("ENVOY");
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        let log =
            std::fs::OpenOptions::new().append(true).create(true).open(self.folder.path().join("agent.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap());
        self.agent = Some(command.spawn().unwrap());
    }

    /// Gives it a disk of its own for the data folder, and another one for the proxies' folders. Says so and returns false
    /// where that is not possible: it takes root.
    pub(crate) fn mount(&mut self) -> bool {
        let data = self.data();
        fs_err::create_dir(&data).unwrap();
        let (data, proxies) = (data.display(), data.join("proxies"));
        let script = format!(
            "mount -t tmpfs -o size=16m x {data} && mkdir -m 700 {0} && mount -t tmpfs -o size=64m,mode=700 y {0} && \
             chmod 700 {data} && exec sleep 3600",
            proxies.display()
        );
        let holder =
            Command::new("unshare").args(["--mount", "sh", "-c", &script]).stderr(Stdio::null()).spawn();
        let Ok(mut holder) = holder else { return skip() };
        let sleeps = |holder: &Child| {
            fs_err::read(format!("/proc/{}/cmdline", holder.id()))
                .is_ok_and(|line| line.starts_with(b"sleep"))
        };
        while !sleeps(&holder) {
            if holder.try_wait().unwrap().is_some() {
                return skip();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.disk = Some(holder);
        true
    }

    /// Mounts the data folder's disk anew, `ro` or `rw`; false while somebody has a file on it open for writing.
    pub(crate) fn remount(&self, mode: &str) -> bool {
        let holder = self.disk.as_ref().unwrap().id();
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{holder}/ns/mnt")).args([
            "mount",
            "-o",
            &format!("remount,{mode}"),
        ]);
        command.arg(self.data()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Where a file of it is seen from here.
    pub(crate) fn seen(&self, path: &std::path::Path) -> PathBuf {
        match &self.disk {
            Some(disk) => PathBuf::from(format!("/proc/{}/root{}", disk.id(), path.display())),
            None => path.to_owned(),
        }
    }

    /// The process id of the agent.
    pub(crate) fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Ends the agent as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    /// Asks the agent to end and waits for it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
            assert!(agent.wait().unwrap().success());
        }
    }

    /// What the agent said.
    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// Writes the file of a workload. `proxied`: it has an Envoy of its own.
    pub(crate) fn write_workload(&self, name: &str, app: &str, port: u16, proxied: bool) {
        let proxy = format!("  proxy: {{outboundCIDR: 127.{}.0.0/24, inboundPort: 15006}}\n", self.network);
        let text = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}\n\
             spec:\n  address: 127.{}.1.1\n  ports: [{{name: http, port: {port}}}]\n{}",
            self.network,
            if proxied { proxy.as_str() } else { "" }
        );
        let text =
            if proxied { text } else { text.replace(&format!("127.{}.1.1", self.network), "127.0.0.1") };
        let file = self.folder.path().join("workloads").join(format!("{name}.yaml"));
        let scratch = file.with_extension("new");
        fs_err::write(&scratch, text).unwrap();
        fs_err::rename(scratch, file).unwrap();
    }

    /// Gives a workload at an address a proxy with this inbound port, and an outbound network of its own.
    pub(crate) fn write_proxied(&self, name: &str, app: &str, address: &str, port: u16, inbound: u16) {
        let range = format!("127.{}.{}.0/24", self.network, self.next_range.fetch_add(1, Ordering::Relaxed));
        let text = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}\n\
             spec:\n  address: {address}\n  ports: [{{name: http, port: {port}}}]\n\
             \x20 proxy: {{outboundCIDR: {range}, inboundPort: {inbound}}}\n"
        );
        let file = self.folder.path().join("workloads").join(format!("{name}.yaml"));
        fs_err::write(file.with_extension("new"), text).unwrap();
        fs_err::rename(file.with_extension("new"), file).unwrap();
    }

    /// Gives a workload of a service account a proxy at this inbound port; returns where that has the first service.
    pub(crate) fn write_account(
        &self,
        name: &str,
        app: &str,
        account: &str,
        port: u16,
        inbound: u16,
    ) -> String {
        let range = self.next_range.fetch_add(1, Ordering::Relaxed);
        let text = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}\n\
             spec:\n  serviceAccount: {account}\n  address: 127.0.0.1\n  ports: [{{name: http, port: {port}}}]\n\
             \x20 proxy: {{outboundCIDR: 127.{}.{range}.0/24, inboundPort: {inbound}}}\n",
            self.network
        );
        let file = self.folder.path().join("workloads").join(format!("{name}.yaml"));
        fs_err::write(file.with_extension("new"), text).unwrap();
        fs_err::rename(file.with_extension("new"), file).unwrap();
        format!("127.{}.{range}.2:{PORT}", self.network)
    }

    /// Starts the launcher of a proxy that the agent does not supervise.
    pub(crate) fn launch(&self, name: &str, envoy: &std::path::Path) -> Child {
        let log = fs_err::File::create(self.folder.path().join(format!("{name}.launcher.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_skerry-agent"));
        command.arg("launch").arg("--proxy-dir").arg(self.proxy(name)).arg("--envoy").arg(envoy);
        command.args(["--drain-seconds", "1"]).stderr(log.into_parts().0).spawn().unwrap()
    }

    /// Puts what an enrolled site has into its data folder.
    pub(crate) fn enrol(&self, enrolment: &Enrolment) {
        skerry_agent::layout::Layout::new(self.data()).prepare().unwrap();
        enrolment.save(&self.data().join("identity.json")).unwrap();
    }

    pub(crate) fn remove_workload(&self, name: &str) {
        fs_err::remove_file(self.folder.path().join("workloads").join(format!("{name}.yaml"))).unwrap();
    }

    /// The address at which the client's proxy has the service of this index.
    pub(crate) fn service(&self, index: u32) -> String {
        format!("127.{}.0.{}:{PORT}", self.network, index + 1)
    }

    /// Waits until the first service answers with this body.
    pub(crate) async fn await_answer(&self, body: &str) {
        let address = self.service(1);
        eventually(&format!("{address} answers {body}; the agent says:\n{}", self.log()), async || {
            get(&address, "/").await.ok().filter(|answer| answer.status == 200 && answer.body == body)
        })
        .await;
    }

    /// What `show` says.
    pub(crate) fn show(&self) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skerry-agent"));
        let output = command.args(["show", "-o", "json", "--data-dir"]).arg(self.data()).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What the launcher of a proxy says.
    pub(crate) fn launcher(&self, name: &str) -> Value {
        let bytes = fs_err::read(self.seen(&self.proxy(name)).join("state.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Waits until the newest Envoy of a proxy runs in this mode, and returns its restart epoch.
    pub(crate) async fn await_mode(&self, name: &str, mode: &str) -> u32 {
        eventually(&format!("{name} runs in mode {mode}"), async || {
            let state = self.launcher(name);
            let newest = &state["processes"][0];
            let epoch = u32::try_from(newest["epoch"].as_u64()?).ok()?;
            (newest["mode"] == mode).then_some(epoch)
        })
        .await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let words = format!("the agent of the site that failed said:\n{}\n", self.log());
            let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        }
        end_all(self.folder.path());
        if let Some(mut holder) = self.disk.take() {
            let _gone_already = holder.kill();
            let _gone_already = holder.wait();
        }
    }
}

/// The key that cores of this process sign manifests with.
pub(crate) static SIGNING: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// What the box of a site has.
pub(crate) fn enrolment(site: &str, core: &str) -> Enrolment {
    let (mesh, site) = (tls_core::mesh(), SiteId::new(site).unwrap());
    let root = MeshRoot::create(&mesh, &tls_core::lasting(ROOT)).unwrap();
    let (agent_key, key) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
    let week = tls_core::lasting(Duration::from_secs(7 * 86_400));
    let authority = root.sign_site(&site, &ProvenKey::from(&key), &week).unwrap();
    let first = TrustRoot {
        mesh: mesh.clone(),
        version: 1,
        expires: week.until.0 / 1000,
        core: Role::new(1, [SIGNING.public()]),
        policy: None,
        require_policy: false,
    };
    let mut signed = SignedRoot::new(&first).unwrap();
    signed.sign(&SIGNING).unwrap();
    Enrolment {
        core: core.to_owned(),
        agent: tls_core::AUTHORITY.sign_agent(&site, &ProvenKey::from(&agent_key), &week).unwrap(),
        agent_key,
        authority: SiteCa::load(&mesh, &site, authority, key).unwrap(),
        mesh_roots: vec![root.certificate().clone()],
        link_roots: tls_core::anchors().roots,
        trust_root: TrustedRoot::first(signed).unwrap(),
        revoked: BTreeSet::new(),
        revoked_sites: BTreeSet::new(),
        trust_version: 0,
        offline_budget: Duration::from_secs(86_400),
    }
}

fn skip() -> bool {
    let words = b"skipped: a disk of its own needs root and a mount namespace\n";
    let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words);
    false
}
