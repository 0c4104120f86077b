//! `skerry bundle`: what a pipeline does. Signing needs no core.

use std::os::unix::fs::PermissionsExt as _;

use prost::Message as _;
use skerry_core::id::{Digest, SiteId};
use skerry_identity::envelope::{PayloadType, Signatures, signers};
use skerry_identity::key::{SigningKey, VerifyingKey};
use skerry_identity::policy::Statement;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_proto::v1::PolicySignatures;
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::{FleetStatus, SiteDetail, SiteSummary};
use tonic::Status;

use crate::core::{Core, Known, NOW, source};
use crate::folder::Folder;
use crate::policy::SHOP;
use crate::run::{Ran, skerry};
use crate::status;

/// The shop with a second commit, and a key.
fn shop() -> Folder {
    let mut folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 80");
    folder.commit("another split");
    // Keys are others in each run, and no part of a commit.
    folder.write(".git/info/exclude", "*.key\n*.pub\n*.sig\n");
    add_key(&folder, "policy.key");
    folder
}

/// Makes a key; returns its public half.
pub(crate) fn add_key(folder: &Folder, name: &str) -> VerifyingKey {
    assert_eq!(skerry(folder.path(), &["bundle", "keygen", name]).code, 0);
    let public = std::fs::read_to_string(folder.path().join(format!("{name}.pub"))).unwrap();
    VerifyingKey::from_pem(&public).unwrap()
}

fn sign(folder: &Folder, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["bundle", "sign"], args].concat())
}

fn read(folder: &Folder, name: &str) -> PolicySignatures {
    PolicySignatures::decode(&*std::fs::read(folder.path().join(name)).unwrap()).unwrap()
}

/// Every site with its policy digest.
fn digests(signatures: &PolicySignatures) -> Vec<(String, Vec<u8>)> {
    let of_group = |group: &skerry_proto::v1::PolicyGroup| {
        let policy = group.policy.clone();
        group.sites.iter().map(move |site| (site.site.clone(), policy.clone())).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = signatures.groups.iter().flat_map(of_group).collect();
    all.sort();
    all
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let folder = Folder::empty();
    let made = skerry(folder.path(), &["bundle", "keygen", "policy.key"]);
    assert_eq!(made.code, 0, "{made}");
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("policy.key"), mode("policy.key.pub") & 0o600), (0o600, 0o600));
    let text = std::fs::read_to_string(folder.path().join("policy.key")).unwrap();
    let (key, secret) = (SigningKey::from_pem(&text).unwrap(), text.lines().nth(1).unwrap());
    assert!(!made.stdout.contains(secret), "a key is never shown");
    let public = std::fs::read_to_string(folder.path().join("policy.key.pub")).unwrap();
    assert_eq!(VerifyingKey::from_pem(&public).unwrap(), key.public());

    insta::assert_snapshot!(skerry(folder.path(), &["bundle", "keygen", "policy.key"]));
    assert_eq!(std::fs::read_to_string(folder.path().join("policy.key")).unwrap(), text);
}

/// The same commit gives the same bytes, wherever and however often it is signed.
#[test]
fn a_commit_is_signed_for_every_site_of_it() {
    let folder = shop();
    insta::assert_snapshot!(sign(&folder, &["--rev", "main", "--key", "policy.key"]));
    let public = std::fs::read_to_string(folder.path().join("policy.key.pub")).unwrap();
    let key = VerifyingKey::from_pem(&public).unwrap();
    let signed = read(&folder, "policy.sig");
    assert_eq!((signed.mesh.as_str(), signed.number, signed.commit.len()), ("mesh.local", 2, 20));
    let commit: String = signed.commit.iter().map(|byte| format!("{byte:02x}")).collect();
    let mesh = MeshDomain::new("mesh.local").unwrap();
    for group in &signed.groups {
        for one in &group.sites {
            let (site, policy) =
                (SiteId::new(&*one.site).unwrap(), Digest::from_slice(&group.policy).unwrap());
            let statement =
                Statement { mesh: &mesh, site: &site, number: 2, commit: &commit, policy: &policy }
                    .to_bytes();
            let signatures = Signatures::from_bytes(&one.signatures).unwrap();
            assert_eq!(signers(PayloadType::Policy, &statement, &signatures, &[key].into()).len(), 1);
        }
    }
    assert_eq!(digests(&signed).len(), 3);

    folder.git(&["clone", "--quiet", ".", "clone"]);
    folder.write("shop/reviews.yaml", "not: committed");
    assert_eq!(
        sign(&folder, &["--source", "clone", "--rev", "main", "--key", "policy.key", "-o", "b"]).code,
        0
    );
    assert_eq!(read(&folder, "b"), signed, "also where the files are others");
    assert_eq!(
        sign(&folder, &["--rev", "HEAD~1", "--key", "policy.key", "--number", "7", "-o", "c"]).code,
        0
    );
    let before = read(&folder, "c");
    assert_eq!(before.number, 7);
    assert_ne!(digests(&before), digests(&signed));
}

/// Two keys sign at once, or one after the other.
#[test]
fn several_keys_sign_what_they_are_given() {
    let folder = shop();
    add_key(&folder, "second.key");
    assert_eq!(sign(&folder, &["--key", "policy.key", "--key", "second.key"]).code, 0);
    let signed = read(&folder, "policy.sig");
    assert!(signed.groups.iter().flat_map(|group| &group.sites).all(|site| site.signatures.len() == 2 * 72));
}

/// What is broken in a commit is signed as a core has it, which goes on with the last good version.
#[test]
fn what_a_core_holds_is_signed_as_it_holds_it() {
    let mut folder = shop();
    assert_eq!(sign(&folder, &["--key", "policy.key", "-o", "good.sig"]).code, 0);
    folder.edit("shop/reviews.yaml", "weight: 80", "weigth: 80");
    folder.commit("a slip");
    let ran = sign(&folder, &["--key", "policy.key"]);
    insta::assert_snapshot!(ran);
    let (good, held) = (read(&folder, "good.sig"), read(&folder, "policy.sig"));
    assert_eq!(digests(&good), digests(&held));
    assert_eq!((good.number, held.number), (2, 3));
}

#[test]
fn what_cannot_be_signed() {
    let (folder, plain) = (shop(), Folder::of(SHOP));
    add_key(&plain, "policy.key");
    folder.write("no.key", "no key");
    folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let url = format!("file://{}", folder.path().display());
    folder.git(&["clone", "--quiet", "--depth", "1", &url, "shallow"]);
    let mut young = Folder::committed(&[("README.md", "words")]);
    young.commit("nothing yet");
    SHOP.iter().for_each(|(path, text)| young.write(path, text));
    young.commit("the shop");
    add_key(&young, "policy.key");
    young.git(&[
        "clone",
        "--quiet",
        "--depth",
        "2",
        &format!("file://{}", young.path().display()),
        "shallow",
    ]);
    let nobody = Folder::committed(&SHOP[1..2]);
    add_key(&nobody, "policy.key");
    let cases = [
        skerry(plain.path(), &["bundle", "sign", "--key", "policy.key"]),
        sign(&folder, &["--source", "shallow", "--key", "policy.key"]),
        sign(&young, &["--source", "shallow", "--key", "policy.key"]),
        sign(&folder, &["--key", "gone.key"]),
        sign(&folder, &["--key", "no.key"]),
        sign(&folder, &["--key", "locked.key"]),
        sign(&folder, &["--key", "policy.key.pub"]),
        sign(&folder, &["--key", "policy.key", "--number", "0"]),
        skerry(nobody.path(), &["bundle", "sign", "--key", "policy.key"]),
    ];
    let shown: Vec<String> = cases.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// The help says what is done: what is signed is a commit, and a folder has none.
#[test]
fn a_plain_folder_is_no_source_of_a_signature_and_the_help_says_so() {
    let plain = Folder::of(SHOP);
    add_key(&plain, "policy.key");
    let refused = skerry(plain.path(), &["bundle", "sign", "--key", "policy.key"]);
    assert!(
        refused.code == 3 && refused.stderr.contains("`.` is a plain folder, and has no commit"),
        "{refused}"
    );
    assert!(!plain.path().join("policy.sig").exists());
    let folder = shop();
    let inside = sign(&folder, &["--source", "shop", "--key", "policy.key"]);
    assert!(inside.code == 3 && inside.stderr.contains("the folder inside it with `--path`"), "{inside}");
    assert_eq!(
        sign(&folder, &["--path", "shop", "--key", "policy.key"]).code,
        1,
        "it has no sites, and is read"
    );
    let help = sign(&folder, &["--help"]).stdout;
    assert!(help.contains("--source <REPO>") && !help.contains("plain folder"), "{help}");
}

#[test]
fn a_key_that_everybody_may_read_signs_nothing() {
    let folder = shop();
    let key = folder.path().join("policy.key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = sign(&folder, &["--key", "policy.key"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
    assert!(refused.stderr.contains("everybody may read it (mode 644)"), "{refused}");
}

#[test]
fn signatures_are_handed_to_the_core() {
    let folder = shop();
    assert_eq!(sign(&folder, &["--rev", "main", "--key", "policy.key"]).code, 0);
    let core = Core::knowing(Known::default());
    let attach = |core: &Core, file: &str| {
        skerry(folder.path(), &[&["bundle", "attach", file][..], &core.arguments()].concat())
    };
    insta::assert_snapshot!(attach(&core, "policy.sig"));
    assert_eq!(core.asked(), ["attach number 2 for 3 sites"]);

    let refusal = Some(Status::failed_precondition("trust root 1 has no policy keys"));
    let refusing = Core::knowing(Known { refusal, ..Known::default() });
    let mut cut = std::fs::read(folder.path().join("policy.sig")).unwrap();
    cut.truncate(cut.len() / 2);
    folder.write("cut.sig", cut);
    let refused = attach(&refusing, "policy.sig");
    let refused = Ran {
        stderr: refused.stderr.replace(&format!("https://{}", refusing.address()), "<core>"),
        ..refused
    };
    let cases = [attach(&core, "cut.sig"), attach(&core, "gone.sig"), refused];
    let shown: Vec<String> = cases.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("signatures_that_are_not_taken", shown.join("\n"));
    assert_eq!(core.asked().len(), 1);
}

/// A site that has to wait is shown with the reason, by the core's word.
#[test]
fn a_site_that_waits_for_a_signature_says_so() {
    let waiting = SiteSummary {
        desired: vec![8],
        desired_generation: 8,
        waits_for_policy: true,
        ..status::site("a-waits", &[Phase::Ready])
    };
    let sites = vec![waiting.clone(), status::site("b-well", &[Phase::Ready])];
    let fleet = FleetStatus { source: Some(source()), sites, now_ms: NOW, ..FleetStatus::default() };
    let detail = SiteDetail { summary: Some(waiting), now_ms: NOW, ..SiteDetail::default() };
    let core = Core::knowing(Known { fleet, sites: vec![detail], ..Known::default() });
    let ask = |args: &[&str]| skerry(Folder::empty().path(), &[args, &core.arguments()].concat());
    insta::assert_snapshot!(format!("{}\n{}", ask(&["status"]), ask(&["site", "describe", "a-waits"])));
}
