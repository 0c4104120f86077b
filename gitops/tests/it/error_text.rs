//! What people read when a source cannot be read: one sentence and one line of help each.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use skerry_gitops::credentials::{Credentials, Secret};
use skerry_gitops::fetch_error::FetchError;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::mirror::Mirror;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::reference::Reference;
use skerry_gitops::remote::Remote;
use skerry_gitops::snapshot::{Aging, SourceTree};

use crate::fetch::{branch, fetch, mirror};
use crate::http_remote::{Manner, Server};
use crate::repository::{MAIN, TestRepo, UNREADABLE, file, refused, service};

/// Prints an error with what changes from run to run taken out.
fn print(error: &FetchError, address: &str) -> String {
    format!("{error}\n  help: {}", error.help()).replace(address, "$REMOTE")
}

fn failure(address: &str, reference: &Reference) -> String {
    let dir = tempfile::tempdir().unwrap();
    print(&fetch(&mut mirror(dir.path(), address), reference).unwrap_err(), address)
}

#[test]
fn empty_repository() {
    let repo = TestRepo::new();
    let server = Server::start(repo.dir.path(), Manner::Open);
    let over_http = failure(&server.url("policies.git"), &branch(MAIN));
    assert_eq!(over_http, failure(&repo.path().display().to_string(), &branch(MAIN)));
    insta::assert_snapshot!(over_http);
}

#[test]
fn deleted_branch() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    for number in 0..12 {
        repo.set_branch(&format!("team-{number:02}"), commit);
    }
    repo.delete_branch(MAIN);
    let server = Server::start(repo.dir.path(), Manner::Open);
    insta::assert_snapshot!(failure(&server.url("policies.git"), &branch(MAIN)));
}

#[test]
fn unknown_tag_and_commit() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let server = Server::start(repo.dir.path(), Manner::Open);
    let commit = "0123456789012345678901234567890123456789".parse().unwrap();
    let references = [Reference::Tag("v9".to_owned()), Reference::Commit(commit)];
    let text = references.map(|reference| failure(&server.url("policies.git"), &reference));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn unreachable_remote() {
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/policies.git");
    insta::assert_snapshot!(failure(&url, &branch(MAIN)).replace("127.0.0.1", "$HOST"));
}

#[test]
fn server_in_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), Manner::Answer("HTTP/1.1 503 Service Unavailable".to_owned()));
    insta::assert_snapshot!(failure(&server.url("policies.git"), &branch(MAIN)));
}

#[test]
fn wrong_credentials() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let basic = Server::start(repo.dir.path(), Manner::Basic("ada", "right"));
    let forbidden = Server::start(repo.dir.path(), Manner::Answer("HTTP/1.1 403 Forbidden".to_owned()));
    let password =
        |text: &str| Credentials::Password { username: "ada".to_owned(), password: Secret::new(text) };
    let key = Credentials::SshKey {
        private_key: PathBuf::from("/k"),
        passphrase: None,
        known_hosts: PathBuf::from("/h"),
    };
    let attempts = [
        (&basic, password("wrong")),
        (&basic, Credentials::Anonymous),
        (&basic, key),
        (&forbidden, password("right")),
    ];
    let text = attempts.map(|(server, credentials)| {
        let (dir, address) = (tempfile::tempdir().unwrap(), server.url("policies.git"));
        let error = mirror(dir.path(), &address)
            .fetch(&branch(MAIN), &credentials, Duration::from_secs(60))
            .unwrap_err();
        print(&error, &address)
    });
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn no_repository_there() {
    let repo = TestRepo::new();
    let server = Server::start(repo.dir.path(), Manner::Open);
    let site = "HTTP/1.1 200 OK\r\nContent-Type: text/html".to_owned();
    let website = Server::start(repo.dir.path(), Manner::Answer(site));
    let folder = repo.dir.path().join("nothing").display().to_string();
    let plain = repo.dir.path().display().to_string();
    let addresses = [server.url("nothing.git"), website.url("policies.git"), folder, plain];
    let text = addresses.map(|address| failure(&address, &branch(MAIN)));
    assert!(text.iter().all(|one| one == &text[0]), "{text:#?}");
    insta::assert_snapshot!(text[0]);
}

#[test]
fn silent_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), Manner::Silent);
    let address = server.url("policies.git");
    let mut mirror = mirror(dir.path(), &address);
    let error = mirror.fetch(&branch(MAIN), &Credentials::Anonymous, Duration::from_secs(1)).unwrap_err();
    insta::assert_snapshot!(print(&error, &address));
}

#[test]
fn unusable_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("other"), "").unwrap();
    let error = Mirror::open_or_create(dir.path(), &Remote::parse("/x").unwrap()).err().unwrap();
    insta::assert_snapshot!(print(&error, &dir.path().display().to_string()));
}

#[test]
fn the_rest() {
    let remote = || "https://git.example.org/fleet.git".to_owned();
    let errors = [
        FetchError::HostKeyUnknown {
            host: "git.example.org".to_owned(),
            key_type: "ssh-ed25519".to_owned(),
            fingerprint: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".to_owned(),
            reason: "known_hosts lists another key for it".to_owned(),
        },
        FetchError::TooLarge { remote: remote(), limit: 1 << 30 },
        FetchError::Corrupt { remote: remote(), reason: "object not found".to_owned() },
        FetchError::RefNotFound { remote: remote(), reference: branch(MAIN), known: vec![], total: 0 },
    ];
    let text = errors.map(|error| print(&error, ""));
    insta::assert_snapshot!(text.join("\n").replace("$REMOTE", ""));
}

#[test]
fn errors_of_reading() {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let many: Vec<_> = (0..14).map(|number| format!("team-{number:02}")).collect();
    let errors = [
        ReadError::PathNotFound {
            path: "fleet".to_owned(),
            commit: "01234567".to_owned(),
            folders: strings(&["docs", "policies"]),
        },
        ReadError::PathNotFound {
            path: "fleet".to_owned(),
            commit: "01234567".to_owned(),
            folders: many.clone(),
        },
        ReadError::PathNotFound { path: "fleet".to_owned(), commit: "01234567".to_owned(), folders: vec![] },
        ReadError::FolderNotFound { path: "fleet".into() },
        ReadError::RevisionNotFound {
            revision: "mian".to_owned(),
            repository: "fleet".into(),
            branches: strings(&["main"]),
        },
        ReadError::RevisionNotFound {
            revision: "HEAD".to_owned(),
            repository: "fleet".into(),
            branches: vec![],
        },
        ReadError::NotARepository { path: "fleet".into() },
        ReadError::ForeignOwner { path: "fleet".into() },
        ReadError::TooMany { what: "policy files", limit: 200_000 },
        ReadError::Shallow { objects: 7, example: "Service shop/cart".to_owned() },
        ReadError::Corrupt { reason: "object not found".to_owned() },
        ReadError::Io { path: "fleet/a.yaml".into(), reason: "Permission denied (os error 13)".to_owned() },
    ];
    let text: Vec<_> = errors.iter().map(|error| format!("{error}\n  help: {}", error.help())).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn documents_that_went_bad() {
    let nameless = "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\n".to_owned();
    let repo = TestRepo::new();
    let good = file(&[service("ads", 80), service("cart", 80), service("mail", 80)]);
    let first = repo.commit(MAIN, &[("shop/a.yaml", &good), ("shop/large.yaml", &service("large", 80))]);
    let bad = file(&[refused("ads"), UNREADABLE.to_owned(), service("mail", 80), nameless]);
    let large = "#".repeat(FILE_BYTES + 1);
    let files =
        [("shop/a.yaml", bad.as_str()), ("shop/b.yaml", &service("mail", 81)), ("shop/large.yaml", &large)];
    let second = repo.commit(MAIN, &files);
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&repo.history(), first).unwrap();

    let advance = tree.advance(&repo.history(), second).unwrap();

    let text: Vec<_> = advance.diagnostics.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n").replace(&first.short(), "$COMMIT"));
}
