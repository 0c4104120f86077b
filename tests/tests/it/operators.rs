//! Operators, with the real programs: one more, who asks what another may, and is taken back at once and for good.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;
use skerry_tests::fleet::{Core, skerry};
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, run};

struct World {
    run: Arc<Run>,
    core: Core,
}

impl World {
    async fn start() -> Self {
        let run = run();
        let mut repo = PolicyRepo::init(run.folder()).expect("a repository");
        repo.write("site.yaml", "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: edge}\n")
            .expect("a file");
        repo.publish("first").expect("a commit");
        let mut core = Core::new(&run, "core", &repo.url()).expect("a core");
        core.start_and_answer().await.expect("it starts");
        Self { run, core }
    }

    /// As the operator `admin`, or as whoever has a file.
    fn skerry(&self, file: Option<&Path>, arguments: &[&str]) -> Output {
        let mut command: Command = skerry(&self.run, self.core.address()).expect("the core has written it");
        if let Some(file) = file {
            command.env("SKERRY_CREDENTIALS", file);
        }
        command.args(arguments).output().expect("it can be started")
    }

    fn names(&self) -> Vec<String> {
        let listed = self.skerry(None, &["operator", "list", "-o", "json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let names = listed.as_array().expect("a list").iter();
        names.map(|row| format!("{} by {}", text_of(&row["name"]), text_of(&row["madeBy"]))).collect()
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_operator_asks_until_they_are_revoked_and_the_core_remembers() {
    let mut world = World::start().await;
    let first = fs_err::read(world.core.data().join("operator.json")).expect("the core has written it");
    let made = world.skerry(None, &["operator", "create", "ada"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let ada = world.run.folder().join("ada.json");
    fs_err::write(&ada, &made.stdout).expect("a file");
    fs_err::set_permissions(&ada, Permissions::from_mode(0o600)).expect("it is ours");
    assert!(world.skerry(Some(&ada), &["status"]).status.success());
    assert_eq!(world.names(), ["ada by admin", "admin by core"]);

    // What counts is left as it is, and what was kept counts.
    world.core.stop().await.expect("it ends");
    world.core.start_and_answer().await.expect("it starts again");
    let second = fs_err::read(world.core.data().join("operator.json")).expect("it is there");
    assert!(first == second, "copies of it are good after a restart");
    assert!(world.skerry(Some(&ada), &["status"]).status.success());

    let revoked = world.skerry(None, &["operator", "revoke", "ada"]);
    assert_eq!(text(&revoked.stdout), "operator ada: 1 key is revoked\n", "{}", text(&revoked.stderr));
    for life in ["this", "next"] {
        let refused = world.skerry(Some(&ada), &["status"]);
        assert_eq!(refused.status.code(), Some(6), "{life}: {}", text(&refused.stdout));
        let words = text(&refused.stderr);
        assert!(words.contains("the credentials of operator `ada`"), "{words}");
        world.core.stop().await.expect("it ends");
        world.core.start_and_answer().await.expect("it starts again");
    }
    let again = world.skerry(None, &["operator", "revoke", "ada"]);
    assert_eq!(again.status.code(), Some(6), "{}", text(&again.stdout));
    assert!(text(&again.stderr).contains("there is no operator `ada`"), "{}", text(&again.stderr));
    let wrong = world.skerry(None, &["operator", "create", "Ada/../core"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

/// Who can read the data folder may always ask; a copy of what was there may not.
#[tokio::test]
async fn the_file_of_the_core_is_written_anew_when_it_is_revoked() {
    let world = World::start().await;
    let file = world.core.data().join("operator.json");
    let stolen = world.run.folder().join("stolen.json");
    fs_err::copy(&file, &stolen).expect("a copy");
    let revoked = world.skerry(Some(&stolen), &["operator", "revoke", "admin"]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    let is_new = async || {
        let (now, before) = (fs_err::read(&file)?, fs_err::read(&stolen)?);
        anyhow::ensure!(now != before, "it is the old one");
        Ok(())
    };
    eventually("another file is there", DEADLINE, is_new).await.expect("at once");
    assert!(world.skerry(None, &["status"]).status.success());
    assert_eq!(world.skerry(Some(&stolen), &["status"]).status.code(), Some(6));
}
