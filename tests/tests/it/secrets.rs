//! Secrets are in the files that they are for and nowhere else: no log at its most talkative, no report, answer, store or dump
//! of a proxy's configuration has one. And those files, like all others, are their owner's alone.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use hyper::Method;
use skerry_agent::enrolment::Enrolment;
use skerry_controller::identity::seal;
use skerry_controller::identity::store::IdentityStore as _;
use skerry_controller::store::redb::RedbStore;
use skerry_core::id::Epoch;
use skerry_identity::ca::Authority as _;
use skerry_identity::key::EcdsaKey;
use skerry_identity::operator::OperatorCredentials;
use skerry_identity::token::JoinToken;
use skerry_tests::fleet::{Agent, Workload, XdsMode};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};

mod admin;
mod needle;

use needle::{Needles, Secret};

const SITE: &str = "edge";
/// The file in a proxy's folder that an Envoy reads which starts without the agent.
const OF_WORKLOAD: &str = "workload.secret.pb";
/// What the core's keys are sealed for.
const PURPOSES: [&str; 3] = ["mesh root key", "transport authority key", "manifest signing key"];

/// A site with a caller and a callee behind Envoys, and everybody says all that they have to say.
struct World {
    run: Arc<Run>,
    source: Source,
    place: Place,
    agent: Agent,
    /// What was said on standard output and error, and over HTTP, by whom.
    said: BTreeMap<String, Vec<u8>>,
}

impl World {
    async fn start() -> Self {
        let run = run();
        let Source { repo, core } = Source::prepare(&run);
        let mut core = core.with_variable("SKERRY_LOG", "trace".into());
        core.start().await.expect("the core starts");
        let mut source = Source { repo, core };
        let place = Place::with_guarded_echo(&run, SITE).await;
        let mut agent = place.prepare_agent(&run, source.core.address(), XdsMode::Delta);
        agent.add_arguments(&["--log", "trace"]);
        agent.start().expect("the agent can be started");
        source.repo.copy_from(&policies()).expect("the fixture is there");
        source.publish("first", &[SITE]).await;
        let mut world = Self { run, source, place, agent, said: BTreeMap::new() };
        world.await_other_keys(&BTreeMap::new()).await;
        for workload in world.place.workloads.clone() {
            world.ask_proxy(&workload, Method::POST, "/logging?level=trace").await;
        }
        world.ask().await;
        world
    }

    async fn ask(&self) {
        ask_all(self.place.service(1, 8080), &[Question::get("it is served", "/").by("v1")]).await;
    }

    /// Notes what a proxy says of itself.
    async fn ask_proxy(&mut self, workload: &Workload, method: Method, target: &str) {
        let socket = self.agent.proxy(workload).join("admin.0.sock");
        let asked = async || admin::ask(&socket, method.clone(), target).await;
        let answer = eventually("a proxy answers", DEADLINE, asked).await.expect("it has an admin interface");
        self.said.insert(format!("proxy {}: {target}", workload.name), answer);
    }

    /// Runs a command, and notes what it says.
    fn hear(&mut self, what: &str, command: &mut Command) -> Output {
        let output = command.output().expect("it can be started");
        self.said.insert(what.to_owned(), [&*output.stdout, &*output.stderr].concat());
        output
    }

    fn hear_skerry(&mut self, arguments: &[&str]) {
        let mut command = self.source.core.skerry().expect("the core has written it");
        let output = self.hear(&arguments.join(" "), command.args(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Enrols another box by a token, tries that token once more, and one that is altered; returns it.
    fn enrol_spare(&mut self) -> JoinToken {
        let mut command = self.source.core.skerry().expect("the core has written it");
        // What it prints is the one place where a token is shown.
        let output = command.args(["site", "enroll", "spare"]).output().expect("it can be started");
        let text = String::from_utf8(output.stdout).expect("a token is text");
        self.said.insert("site enroll".to_owned(), output.stderr);
        let altered = format!("{}A", text.trim());
        for (name, text, is_taken) in
            [("one", &*text, true), ("two", &*text, false), ("three", &*altered, false)]
        {
            let data = self.run.make_folder(&format!("box-{name}")).expect("a folder");
            let mut command = Command::new(self.run.binaries().ours("skerry-agent").expect("it is built"));
            command.args(["enroll", "--data-dir"]).arg(data).env("SKERRY_LOG", "trace");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("it can be started");
            let mut stdin = child.stdin.take().expect("it is piped");
            std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("it reads");
            drop(stdin);
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(
                output.status.success(),
                is_taken,
                "{name}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            self.said.insert(format!("enroll box {name}"), [output.stdout, output.stderr].concat());
        }
        text.parse().expect("it is a token")
    }

    /// The keys that the proxies have now, by the files that they are in.
    fn workload_keys(&self) -> BTreeMap<PathBuf, EcdsaKey> {
        let key = |workload: &Workload| {
            let path = self.agent.proxy(workload).join(OF_WORKLOAD);
            let bytes = fs_err::read(&path).ok()?;
            let text = String::from_utf8_lossy(&bytes);
            let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
            let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
            let pem = format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----\n");
            Some((path, EcdsaKey::from_pem(&pem).expect("it is a key")))
        };
        self.place.workloads.iter().filter_map(key).collect()
    }

    /// Waits until each proxy has a key, and another one than it had.
    async fn await_other_keys(&self, before: &BTreeMap<PathBuf, EcdsaKey>) {
        let are_other = async || {
            let keys = self.workload_keys();
            let is_other = |(path, key): (&PathBuf, &EcdsaKey)| {
                before.get(path).is_none_or(|before| before.thumbprint() != key.thumbprint())
            };
            anyhow::ensure!(keys.len() == self.place.workloads.len(), "{} keys", keys.len());
            anyhow::ensure!(keys.iter().all(is_other), "the keys are those of before");
            Ok(())
        };
        eventually("each proxy has a key of its own", DEADLINE, are_other).await.expect("it is minted");
    }

    /// Everything that can be asked for.
    async fn hear_all(&mut self) {
        for arguments in [
            &["status", "-o", "json"][..],
            &["status", "-o", "yaml"],
            &["site", "get", "-o", "json"],
            &["site", "describe", SITE, "-o", "json"],
            &["site", "describe", SITE],
            &["source", "get", "-o", "json"],
        ] {
            self.hear_skerry(arguments);
        }
        for workload in self.place.workloads.clone() {
            for target in ["/config_dump?include_eds", "/certs", "/clusters", "/server_info", "/stats"] {
                self.ask_proxy(&workload, Method::GET, target).await;
            }
            let dump = &self.said[&format!("proxy {}: /config_dump?include_eds", workload.name)];
            let dump = String::from_utf8_lossy(dump);
            // As it is, and as the base64 of it.
            assert!(dump.contains("redacted") || dump.contains("W3JlZGFjdGVkXQ"), "it has a key: {dump}");
        }
        self.hear_show("running");
    }

    /// All have said everything: else nothing follows from what they did not say.
    fn check_talkative(&self) {
        for (who, log) in [("core", self.source.core.log()), ("agent", self.agent.log())] {
            assert!(log.contains(" TRACE "), "the {who} does not say all");
        }
        for workload in &self.place.workloads {
            let log = fs_err::read_to_string(self.agent.proxy(workload).join("envoy.log"));
            assert!(log.expect("it has a log").contains("[trace]"), "{} does not say all", workload.name);
        }
    }

    fn hear_show(&mut self, when: &str) {
        let agent = self.run.binaries().ours("skerry-agent").expect("it is built");
        for form in ["json", "text"] {
            let mut command = Command::new(&agent);
            command.args(["show", "-o", form, "--data-dir"]).arg(self.agent.data());
            let output = self.hear(&format!("show -o {form}, {when}"), &mut command);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// The secrets of the core, which does not run, with the file that each is in.
    fn of_core(&self) -> Vec<Secret> {
        let data = self.source.core.data();
        let operator = data.join("operator.json");
        let credentials = OperatorCredentials::from_json(&fs_err::read(&operator).expect("it is written"));
        let mut secrets = vec![Secret::key(&credentials.expect("it is whole").key, &operator)];
        let sealing = data.join("seal.key");
        secrets.push(Secret::hex(&fs_err::read_to_string(&sealing).expect("it is made"), &sealing));
        let seal_key = seal::find(None, None, data, false).expect("there is one");
        let store = RedbStore::open(&data.join("identity.redb"), Epoch(1)).expect("the core is away");
        let record = store.authority().expect("it can be read").expect("it was kept");
        let record = serde_json::to_value(&record).expect("it is plain");
        for sealed in sealed(&record) {
            let open = |purpose: &&str| seal_key.open(purpose, &sealed).ok();
            let key = PURPOSES.iter().find_map(open).expect("it is sealed for one of these purposes");
            secrets.push(Secret::pkcs8(&key, None));
        }
        assert_eq!(secrets.len(), 2 + PURPOSES.len(), "each of the core's keys is sealed");
        secrets
    }

    /// The secrets of a box.
    fn of_box(data: &Path) -> Vec<Secret> {
        let path = data.join("identity.json");
        let enrolment = Enrolment::load(&path).expect("it can be read").expect("it is enrolled");
        [&enrolment.agent_key, enrolment.authority.key()].map(|key| Secret::key(key, &path)).into()
    }
}

/// Every sealed value of a record: lists of bytes.
fn sealed(value: &serde_json::Value) -> Vec<Vec<u8>> {
    let bytes = |list: &Vec<serde_json::Value>| -> Option<Vec<u8>> {
        list.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
    };
    match value {
        serde_json::Value::Array(list) => match bytes(list) {
            Some(bytes) if bytes.starts_with(b"SKS1") => vec![bytes],
            _ => list.iter().flat_map(sealed).collect(),
        },
        serde_json::Value::Object(fields) => fields.values().flat_map(sealed).collect(),
        _ => Vec::new(),
    }
}

/// All that is in a folder, and the folder.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        let entries = fs_err::read_dir(path).expect("it can be listed").flatten();
        found.extend(entries.flat_map(|entry| below(&entry.path())));
    }
    found
}

/// Fails if somebody else may read or enter something in a data folder. One socket is for others.
fn check_modes(data: &Path) {
    for path in below(data) {
        let metadata = fs_err::symlink_metadata(&path).expect("it is there");
        let (kind, mode) = (metadata.file_type(), metadata.permissions().mode() & 0o777);
        if kind.is_socket() && path.ends_with("workload.sock") {
            continue;
        }
        let is_private = if kind.is_dir() { mode == 0o700 } else { mode & 0o077 == 0 };
        assert!(is_private || kind.is_symlink(), "{}: {mode:03o}", path.display());
    }
}

/// Where each secret was seen, save in the file that it is for; and that it was seen there, if it has one.
fn check(secrets: &[Secret], files: &[PathBuf], said: &BTreeMap<String, Vec<u8>>) {
    let needles = Needles::of(secrets);
    let mut homes = BTreeSet::new();
    for path in files {
        let bytes = fs_err::read(path).expect("it can be read");
        for found in needles.find(&bytes) {
            let secret = &secrets[found];
            assert!(secret.may_be_in(path), "{} is in {}", secret.what, path.display());
            homes.extend((secret.home.as_ref() == Some(path)).then_some(found));
        }
        let holds_keys = secrets.iter().any(|secret| secret.may_be_in(path));
        let is_pending = path.ends_with("identity.pending");
        let shows_one = needle::contains(&bytes, b"PRIVATE KEY");
        assert!(!shows_one || holds_keys || is_pending, "{} has a private key", path.display());
    }
    for (who, words) in said {
        let found = needles.find(words).into_iter().map(|found| &secrets[found].what);
        assert_eq!(found.collect::<Vec<_>>(), [""; 0], "{who}");
        assert!(!needle::contains(words, b"PRIVATE KEY"), "{who}");
    }
    for (index, secret) in secrets.iter().enumerate().filter(|(_, secret)| secret.home.is_some()) {
        assert!(homes.contains(&index), "{} is looked for in no form that it has", secret.what);
    }
}

#[tokio::test]
async fn secrets_are_in_the_files_that_they_are_for_and_nowhere_else() {
    let mut world = World::start().await;
    let token = world.enrol_spare();
    let before = world.workload_keys();
    // A restarted agent mints anew, and hands that to proxies that are listened to.
    world.agent.stop().await.expect("it ends");
    world.hear_show("stopped");
    world.agent.start().expect("it can be started again");
    world.await_other_keys(&before).await;
    world.ask().await;
    world.hear_all().await;
    world.check_talkative();
    check_modes(world.agent.data());
    check_modes(world.source.core.data());
    world.agent.stop().await.expect("it ends");
    world.source.core.stop().await.expect("it ends");

    let mut secrets = world.of_core();
    secrets.extend(World::of_box(world.agent.data()));
    secrets.extend(World::of_box(&world.run.folder().join("box-one")));
    secrets.extend(world.workload_keys().iter().map(|(path, key)| Secret::key(key, path)));
    secrets.extend(before.values().map(|key| Secret::pkcs8(&key.to_pkcs8().expect("a key"), None)));
    secrets.push(Secret::bytes("the secret of a join token", token.secret.as_bytes()));
    let is_file = |path: &PathBuf| path.is_file();
    let files: Vec<PathBuf> = below(world.run.folder()).into_iter().filter(is_file).collect();
    check(&secrets, &files, &world.said);
}
