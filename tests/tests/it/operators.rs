//! Operators, with the real programs: one more, who asks what another may, and is taken back at once and for good.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Source, run};
use crate::said::Said;

struct World {
    run: Arc<Run>,
    source: Source,
}

impl World {
    async fn start() -> Self {
        let run = run();
        let source = Source::of_one_site(&run, &[]).await;
        Self { run, source }
    }

    /// As whoever has a file.
    fn skerry_by(&self, file: &Path, arguments: &[&str]) -> Said {
        let mut command = self.source.core.skerry().expect("the core has written credentials");
        Said::by(command.env("SKERRY_CREDENTIALS", file).args(arguments))
    }

    /// The credentials of the operator `admin`.
    fn file_of_core(&self) -> PathBuf {
        self.source.core.data().join("operator.json")
    }

    async fn restart(&mut self) {
        self.source.core.stop().await.expect("it ends");
        self.source.core.start_and_answer().await.expect("it starts again");
    }

    fn names(&self) -> Vec<String> {
        let listed = self.source.skerry(&["operator", "list", "-o", "json"]).json();
        let names = listed.as_array().expect("a list").iter();
        names.map(|row| format!("{} by {}", text_of(&row["name"]), text_of(&row["madeBy"]))).collect()
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[tokio::test]
async fn an_operator_asks_until_they_are_revoked_and_the_core_remembers() {
    let mut world = World::start().await;
    let first = fs_err::read(world.file_of_core()).expect("the core has written it");
    let made = world.source.skerry(&["operator", "create", "ada"]).done();
    let ada = world.run.folder().join("ada.json");
    fs_err::write(&ada, &made).expect("a file");
    fs_err::set_permissions(&ada, Permissions::from_mode(0o600)).expect("it is ours");
    world.skerry_by(&ada, &["status"]).done();
    assert_eq!(world.names(), ["ada by admin", "admin by core"]);

    // What counts is left as it is, and what was kept counts.
    world.restart().await;
    let second = fs_err::read(world.file_of_core()).expect("it is there");
    assert!(first == second, "copies of it are good after a restart");
    world.skerry_by(&ada, &["status"]).done();

    let revoked = world.source.skerry(&["operator", "revoke", "ada"]);
    assert_eq!(revoked.output, "operator ada: 1 key is revoked\n", "{}", revoked.errors);
    for life in ["this", "next"] {
        let refused = world.skerry_by(&ada, &["status"]);
        assert_eq!(refused.code, Some(6), "{life}: {}", refused.output);
        assert!(refused.errors.contains("the credentials of operator `ada`"), "{}", refused.errors);
        world.restart().await;
    }
    let again = world.source.skerry(&["operator", "revoke", "ada"]);
    assert_eq!(again.code, Some(4), "{}", again.output);
    assert!(again.errors.contains("there is no operator `ada`"), "{}", again.errors);
    let wrong = world.source.skerry(&["operator", "create", "Ada/../core"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.errors);
}

/// Who watches needs no more than to see: what they were given is no key to the fleet.
#[tokio::test]
async fn an_operator_who_may_only_look_is_told_so() {
    let world = World::start().await;
    let made = world.source.skerry(&["operator", "create", "dashboard", "--read-only"]).done();
    let file = world.run.folder().join("dashboard.json");
    fs_err::write(&file, &made).expect("a file");
    fs_err::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
    for verb in [&["status"][..], &["trust", "show"], &["operator", "list"]] {
        world.skerry_by(&file, verb).done();
    }
    for verb in [
        &["site", "enroll", "edge"][..],
        &["operator", "create", "eve"],
        &["trust", "rotate", "manifest-key"],
    ] {
        let refused = world.skerry_by(&file, verb);
        assert_eq!(refused.code, Some(6), "{verb:?}: {}", refused.output);
        assert!(refused.errors.contains("`dashboard` are read-only"), "{verb:?}: {}", refused.errors);
    }
    let listed = world.source.skerry(&["operator", "list", "-o", "json"]).json();
    let row = listed.as_array().expect("a list").iter().find(|row| row["name"] == "dashboard");
    assert_eq!(row.expect("it is listed")["isReadOnly"], true);
}

/// Who can read the data folder may always ask; a copy of what was there may not.
#[tokio::test]
async fn the_file_of_the_core_is_written_anew_when_it_is_revoked() {
    let world = World::start().await;
    let file = world.file_of_core();
    let stolen = world.run.folder().join("stolen.json");
    fs_err::copy(&file, &stolen).expect("a copy");
    world.skerry_by(&stolen, &["operator", "revoke", "admin"]).done();
    let is_new = async || {
        let (now, before) = (fs_err::read(&file)?, fs_err::read(&stolen)?);
        anyhow::ensure!(now != before, "it is the old one");
        Ok(())
    };
    eventually("another file is there", DEADLINE, is_new).await.expect("at once");
    world.source.skerry(&["status"]).done();
    assert_eq!(world.skerry_by(&stolen, &["status"]).code, Some(6));
}
