//! Signers of a `PolicySource`: keys in it, and files that it names.

use skerry_crds::policy_source::{Signer, SignerKey};
use skerry_gitops::limits::SIGNERS_BYTES;
use skerry_gitops::provenance::signers::{Loaded, read_file};
use skerry_gitops::provenance::{Verdict, verify};

use super::signed::{ADA, NOW, Source, ada, public, signer, ssh_key, ssh_signed};

/// Invariants 7 and 11: what cannot be used is named with its place, and hurts no other signer.
#[test]
fn invariant_7_signers_that_cannot_be_used_are_named_and_hurt_no_other() {
    let file = |name: &str| {
        let field = "spec.verify.signers[1].openPGPKeyFile".to_owned();
        Signer { field, ..signer(SignerKey::OpenPgpFile(name.into())) }
    };
    let mut source = Source::with(vec![
        signer(SignerKey::Ssh("ssh-ed25519".to_owned())),
        file("gone.asc"),
        file("text.asc"),
        file("private.asc"),
        file("damaged.asc"),
        ada(&ssh_key(1)),
    ])
    .file("text.asc", "no key")
    .file("private.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n-----END PGP PRIVATE KEY BLOCK-----\n")
    .file(
        "damaged.asc",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
    );
    source.verify.allowed_signers_file = Some("missing_signers".into());

    let loaded = source.load();

    let lines: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let verdict = verify(&ssh_signed(&ssh_key(1)), &loaded.signers, NOW);
    assert_eq!(verdict, Verdict::Trusted { signer: ADA.to_owned() });
}

/// What the document itself holds is checked when it is read, without any file.
#[test]
fn keys_in_the_document_are_checked_without_its_files() {
    let certificate = signer(SignerKey::Ssh("ssh-rsa-cert-v01@openssh.com AAAA".to_owned()));
    let mut source = Source::with(vec![ada(&ssh_key(1)), signer(SignerKey::OpenPgpFile("gone.asc".into()))]);
    source.verify.allowed_signers_file = Some("gone".into());
    assert_eq!(Loaded::check_inline(&source.verify), [].into());
    source.verify.signers.push(certificate);
    let found: Vec<_> = Loaded::check_inline(&source.verify).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "source.yaml:9:15: error[Unsupported]: spec.verify.signers[0].sshKey: SSH certificates are not supported \
          (help: list the plain public keys of the signers)"
        ]
    );
}

/// Invariant 9.
#[test]
fn invariant_9_a_file_of_signers_is_read_up_to_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allowed_signers");
    std::fs::write(&path, vec![b'#'; SIGNERS_BYTES]).unwrap();
    assert_eq!(read_file(&path).unwrap().len(), SIGNERS_BYTES);
    std::fs::write(&path, vec![b'#'; SIGNERS_BYTES + 1]).unwrap();
    assert_eq!(read_file(&path).unwrap_err().to_string(), "more than 1048576 bytes");
}

#[test]
fn a_signer_in_a_file_and_one_in_the_document_are_equal() {
    let allowed = format!("{ADA} {}\n", public(&ssh_key(2)));
    let signers = Source::with(vec![ada(&ssh_key(1))]).allowed(allowed).signers();
    for key in [1, 2] {
        let verdict = verify(&ssh_signed(&ssh_key(key)), &signers, NOW);
        assert_eq!(verdict, Verdict::Trusted { signer: ADA.to_owned() }, "{key}");
    }
}
