//! Plain folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use skerry_core::diagnostic::Code;
use skerry_core::world::Age;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::load::load_folder;

use crate::repository::{file, refused, service};

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn every_policy_file_below_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", &service("cart", 80));
    write(dir.path(), "deep/er/b.yml", &service("ads", 80));
    write(
        dir.path(),
        "c.json",
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "json", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}"#,
    );
    write(dir.path(), "README.md", "not: [policy");
    write(dir.path(), ".git/config.yaml", "not: [policy");
    write(dir.path(), "deep/.hidden.yaml", "not: [policy");
    write(
        dir.path(),
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
    );

    let loaded = load_folder(dir.path(), "").unwrap();

    let names: Vec<_> = loaded.objects.iter().map(|(object, _)| object.key.name.as_str()).collect();
    assert_eq!(names, ["ads", "cart", "json"]);
    assert!(loaded.objects.iter().all(|(_, age)| *age == Age::Unknown));
    assert_eq!((loaded.files, loaded.revision.as_str()), (4, "folder@none"));
    assert_eq!(loaded.foreign.into_iter().collect::<Vec<_>>(), [("Kustomization".to_owned(), 1)]);
    assert_eq!(loaded.objects[0].0.document.location.file, "deep/er/b.yml");
}

#[test]
fn links_do_not_lead_out_and_mounted_config_maps_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.yaml", &service("secret", 80));
    write(dir.path(), "a.yaml", &service("cart", 80));
    write(dir.path(), "..2026_01_01/mounted.yaml", &service("mounted", 80));
    symlink("..2026_01_01", dir.path().join("..data")).unwrap();
    symlink("..data/mounted.yaml", dir.path().join("mounted.yaml")).unwrap();
    symlink(outside.path().join("secret.yaml"), dir.path().join("secret.yaml")).unwrap();
    symlink("a.yaml", dir.path().join("again.yaml")).unwrap();
    symlink("nowhere.yaml", dir.path().join("dangling.yaml")).unwrap();
    symlink(".", dir.path().join("loop")).unwrap();

    let loaded = load_folder(dir.path(), "").unwrap();

    let names: Vec<_> = loaded.objects.iter().map(|(object, _)| object.key.name.as_str()).collect();
    assert_eq!(names, ["cart", "mounted"]);
    assert_eq!((loaded.ignored, loaded.files), (4, 2));
    let named: Vec<_> = loaded.diagnostics.iter().map(|one| one.location.file.as_str()).collect();
    assert_eq!(named, ["again.yaml", "dangling.yaml", "loop", "secret.yaml"]);
    assert!(loaded.diagnostics.iter().all(|one| one.message.contains("not followed")));
}

#[test]
#[cfg(unix)]
fn a_name_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.yaml");
    fs::write(dir.path().join(name), service("cart", 80)).unwrap();

    let loaded = load_folder(dir.path(), "").unwrap();

    let named: Vec<_> = loaded.diagnostics.iter().map(|one| one.location.file.as_str()).collect();
    assert_eq!((loaded.objects.len(), named), (0, vec!["caf\\xe9.yaml"]));
}

#[test]
fn bad_files_hurt_only_themselves() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", &file(&[service("cart", 80), refused("bad")]));
    write(dir.path(), "large.yaml", &format!("{}# {}", service("large", 80), "x".repeat(FILE_BYTES)));
    fs::write(dir.path().join("latin1.yaml"), b"name: caf\xe9\n").unwrap();
    write(dir.path(), "empty.yaml", "");

    let loaded = load_folder(dir.path(), "").unwrap();

    assert_eq!(loaded.objects.len(), 1);
    let budget =
        loaded.diagnostics.iter().find(|diagnostic| diagnostic.code == Code::BudgetExceeded).unwrap();
    assert_eq!(budget.location.file, "large.yaml");
    assert!(loaded.diagnostics.iter().any(|diagnostic| diagnostic.location.file == "latin1.yaml"));
}

/// Runs work as a user without rights: root reads everything, whatever the mode.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let nobody = || {
        if rustix::process::geteuid().is_root() {
            // Of this thread alone, and it ends here.
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(nobody).join().unwrap())
}

#[test]
fn what_cannot_be_read_hurts_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let close = |path: &str, mode| {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    close("", 0o755);
    write(dir.path(), "a.yaml", &service("cart", 80));
    write(dir.path(), "closed/b.yaml", &service("ads", 80));
    write(dir.path(), "locked.yaml", &service("till", 80));
    close("closed", 0);
    close("locked.yaml", 0);

    let loaded = as_nobody(|| load_folder(dir.path(), "")).unwrap();
    close("closed", 0o755);

    let names: Vec<_> = loaded.objects.iter().map(|(object, _)| object.key.name.as_str()).collect();
    let named: Vec<_> = loaded.diagnostics.iter().map(|one| (one.code, one.location.file.as_str())).collect();
    assert_eq!(names, ["cart"]);
    assert_eq!(named, [(Code::Unreadable, "closed/"), (Code::Unreadable, "locked.yaml")]);
    assert!(loaded.diagnostics.iter().all(|one| one.message.contains("Permission denied")));
    close("", 0);
    let error = as_nobody(|| load_folder(dir.path(), "")).unwrap_err();
    close("", 0o755);
    assert!(matches!(error, ReadError::Io { .. }), "{error:?}");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "");
    for path in [dir.path().join("nowhere"), dir.path().join("a.yaml")] {
        assert_eq!(load_folder(&path, "").unwrap_err(), ReadError::FolderNotFound { path });
    }
}

/// What looks like a policy file and is none is named; names that begin with a dot are passed over as a rule.
#[test]
fn capitals_and_pipes_are_named_and_hidden_names_are_not() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", &service("cart", 80));
    write(dir.path(), "B.YAML", &service("ads", 80));
    write(dir.path(), "notes.TXT", "words");
    write(dir.path(), ".c.yaml", &service("hidden", 80));
    write(dir.path(), ".policies/d.yaml", &service("hidden", 80));
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe.yaml")).status().unwrap();
    assert!(made.success());

    let loaded = load_folder(dir.path(), "").unwrap();

    assert_eq!((loaded.objects.len(), loaded.files, loaded.ignored), (1, 1, 2));
    let named: Vec<_> =
        loaded.diagnostics.iter().map(|one| (one.location.file.as_str(), &one.message[..10])).collect();
    assert_eq!(named, [("B.YAML", "the ending"), ("pipe.yaml", "it is no f")]);
}
