//! `skerry root`: a ceremony from end to end, and what is wrong at each step.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use skerry_core::id::SiteId;
use skerry_identity::ceremony::SigningRequest;
use skerry_identity::csr;
use skerry_identity::key::EcdsaKey;
use skerry_identity::thumbprint::Thumbprint;
use skerry_proto::v1::{self, ListSigningRequestsResponse};

use crate::core::{Core, Known};
use crate::folder::Folder;
use crate::run::{Ran, skerry};

/// A machine without a network, and a core beside it.
struct Ceremony {
    folder: Folder,
    core: Core,
}

impl Ceremony {
    /// These sites wait for the root that was made here.
    fn of(sites: &[(&str, &EcdsaKey)]) -> Self {
        let folder = Folder::empty();
        let made = skerry(folder.path(), &["root", "create", "--mesh", "mesh.local", "--dir", "root"]);
        assert_eq!(made.code, 0, "{made}");
        let ledger: Value = serde_json::from_slice(&file(&folder, "root/ledger.json")).unwrap();
        let root: Thumbprint = ledger["root"].as_str().unwrap().parse().unwrap();
        let request = |(site, key): &(&str, &EcdsaKey)| {
            let (site, der) = (SiteId::new(*site).unwrap(), csr::create(key).unwrap());
            let request = SigningRequest::new(site, &der, Duration::from_secs(30 * 86_400));
            v1::SigningRequest {
                site: request.site.to_string(),
                request: request.request,
                lasts_seconds: request.lasts_seconds,
            }
        };
        let waiting = ListSigningRequestsResponse {
            mesh: "mesh.local".to_owned(),
            root: root.as_bytes().to_vec(),
            requests: sites.iter().map(request).collect(),
            more_after: String::new(),
        };
        let core = Core::knowing(Known { waiting, ..Known::default() });
        let this = Self { folder, core };
        let asked = this.run(&["requests"]);
        assert_eq!(asked.code, 0, "{asked}");
        this.folder.write("requests.json", &asked.stdout);
        this
    }

    fn run(&self, args: &[&str]) -> Ran {
        let asks = if args[0] == "sign" { vec![] } else { self.core.arguments().to_vec() };
        skerry(self.folder.path(), &[&["root"], args, &asks].concat())
    }

    fn sign(&self, args: &[&str]) -> Ran {
        self.run(&[&["sign", "--dir", "root", "requests.json"], args].concat())
    }
}

fn file(folder: &Folder, path: &str) -> Vec<u8> {
    fs_err::read(folder.path().join(path)).unwrap()
}

fn keys() -> [EcdsaKey; 2] {
    [EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap()]
}

#[test]
fn sites_are_signed_for_once_they_are_named_and_then_again_by_themselves() {
    let [oslo, paxos] = keys();
    let ceremony = Ceremony::of(&[("oslo", &oslo), ("paxos", &paxos)]);
    assert_eq!(ceremony.core.asked(), ["requests after ``", "requests after `oslo`"], "page by page");

    let nobody = ceremony.sign(&[]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (2, ""), "{nobody}");
    assert!(
        nobody.stderr.contains(&oslo.thumbprint().short()) && nobody.stderr.contains("--new"),
        "{nobody}"
    );
    let unknown = ceremony.sign(&["--new", "bergen"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("nothing waits for that site"), "{unknown}");

    let one = ceremony.sign(&["--new", "oslo"]);
    assert!(one.code == 0 && one.stderr.contains("signed for 1 site, left out 1"), "{one}");
    let again = ceremony.sign(&["--all-new"]);
    assert!(again.stderr.contains("same key") && again.stderr.contains("never signed for"), "{again}");
    ceremony.folder.write("signed.json", &again.stdout);
    assert!(ceremony.sign(&[]).stderr.contains("signed for 2 sites"), "both are known by now");

    let delivered = ceremony.run(&["deliver", "signed.json"]);
    assert_eq!(
        (delivered.code, delivered.stdout.as_str()),
        (6, "1 certificate is delivered\n"),
        "{delivered}"
    );
    assert!(delivered.stderr.contains("not taken for site paxos: it is for another key"), "{delivered}");
    ceremony.folder.write("other.json", again.stdout.replace("mesh.local", "other.local"));
    let other = ceremony.run(&["deliver", "other.json"]);
    assert!(other.code == 6 && other.stderr.contains("it is of another root"), "{other}");
    let delivered = ["deliver 2 of mesh `mesh.local`", "deliver 2 of mesh `other.local`"];
    assert!(ceremony.core.asked().ends_with(&delivered.map(str::to_owned)), "{:?}", ceremony.core.asked());
}

#[test]
fn a_site_with_another_key_is_never_signed_for_unseen() {
    let [first, second] = keys();
    let ceremony = Ceremony::of(&[("oslo", &first)]);
    assert_eq!(ceremony.sign(&["--all-new"]).code, 0);
    let text = String::from_utf8(file(&ceremony.folder, "root/ledger.json")).unwrap();
    let other = text.replace(&first.thumbprint().to_string(), &second.thumbprint().to_string());
    ceremony.folder.write("root/ledger.json", &other);
    let changed = ceremony.sign(&["--all-new"]);
    assert!(changed.code == 2 && changed.stderr.contains("another key: "), "{changed}");
    assert_eq!(ceremony.sign(&["--new", "oslo"]).code, 0);
}

#[test]
fn a_root_is_made_once_and_its_key_is_for_its_owner_alone() {
    let folder = Folder::empty();
    let create = ["root", "create", "--mesh", "mesh.local", "--dir", "root"];
    let made = skerry(folder.path(), &create);
    let key = folder.path().join("root/root.key");
    assert_eq!(fs_err::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = file(&folder, "root/root.key");
    assert!(!format!("{made}").contains("PRIVATE KEY"));
    let again = skerry(folder.path(), &create);
    assert!(again.code == 2 && again.stderr.contains("is there already"), "{again}");
    assert_eq!(file(&folder, "root/root.key"), before);
    let wrong = skerry(folder.path(), &["root", "create", "--mesh", "Mesh!", "--dir", "other"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("--mesh"), "{wrong}");
}

/// What is done to a ceremony's files, and a word of what is said about it.
type Mistake = (fn(&Ceremony), &'static str);

#[test]
fn what_is_wrong_with_a_file_is_said_and_nothing_is_signed() {
    let mistakes: [Mistake; 6] = [
        (|it| it.folder.write("requests.json", "{"), "as it was written"),
        (|it| it.folder.write("requests.json", r#"{"mesh":"a.b","root":"","requests":[]}"#), "requests.json"),
        (
            |it| {
                let text = String::from_utf8(file(&it.folder, "requests.json")).unwrap();
                it.folder.write("requests.json", text.replace("mesh.local", "other.local"));
            },
            "of mesh `other.local`",
        ),
        (
            |it| {
                let text = String::from_utf8(file(&it.folder, "requests.json")).unwrap();
                it.folder.write("requests.json", text.replace("2592000", "99999999"));
            },
            "would last 1157 days",
        ),
        (
            |it| {
                let key = it.folder.path().join("root/root.key");
                fs_err::set_permissions(key, std::fs::Permissions::from_mode(0o640)).unwrap();
            },
            "may be read by others (mode 640)",
        ),
        (
            |it| fs_err::remove_file(it.folder.path().join("root/ledger.json")).unwrap(),
            "ledger.json: there is no such file",
        ),
    ];
    let [oslo, _] = keys();
    for (mistake, words) in mistakes {
        let ceremony = Ceremony::of(&[("oslo", &oslo)]);
        mistake(&ceremony);
        let ran = ceremony.sign(&["--all-new"]);
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(words), "{words}: {ran}");
    }
}
