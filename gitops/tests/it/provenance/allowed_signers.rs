//! `allowed_signers` files: what OpenSSH takes is taken, and each line that is not says why.

use skerry_gitops::provenance::{Verdict, verify};

use super::shown;
use super::signed::{ADA, NOW, Source, public, ssh_key, ssh_signed};

/// A key of 1,024 bits.
const RSA_1024: &str = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCgaJFVuZDCPnVd3/pXhiK4nwyU5h6OJ9ji56ysRCELz2h0F06I7BnZVTPOYRSRMO/lUMQy5qxgGj4/vhR9IDUfNjWc/D66DRwtCl8vnZbBoRoqci/ijRntB9yRCHECFgXcGqsEhzU5GrwrcCx8Rpbu3AoAM9JMNsshesLYWXbOAQ==";

/// Checks Ada's commit against a file; returns the verdict and the diagnostics.
fn check(text: &str) -> (Verdict, String) {
    let loaded = Source::with(Vec::new()).allowed(text).load();
    let lines: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    (verify(&ssh_signed(&ssh_key(1)), &loaded.signers, NOW), lines.join("\n"))
}

#[test]
fn every_form_of_a_line_is_taken() {
    let key = public(&ssh_key(1));
    let bare = key.rsplit_once(" ada's").unwrap().0;
    let forms = [
        format!("ada@example.org {key}"),
        format!("  ada@example.org\t{bare}  "),
        format!("bob@example.org,ada@* {bare}"),
        format!("\"*@example.org,!bob@example.org\" {bare}"),
        format!("* namespaces=\"git\" {bare}"),
        format!("* NAMESPACES=\"file,git\" {bare}"),
        format!(
            "* namespaces=\"gi?\",valid-after=\"20251231\",valid-before=\"20260102235959Z\" {bare} laptop"
        ),
        format!("* valid-before=20270101 {bare}"),
        format!("* valid-before=\"20260101\" {bare}"),
        format!("# a comment\n\n  # another\r\nada@example.org {bare}\r\n"),
    ];
    for form in forms {
        assert_eq!(check(&form), (Verdict::Trusted { signer: ADA.to_owned() }, String::new()), "{form}");
    }
}

#[test]
fn lines_that_say_no() {
    let key = public(&ssh_key(1));
    let lines = [
        format!("bob@example.org {key}"),
        format!("* namespaces=\"file\" {key}"),
        format!("* valid-after=\"20260102\" {key}"),
        format!("* valid-before=\"20251231235959Z\" {key}"),
        format!("!ada@example.org {key}"),
    ];
    let shown: Vec<_> = lines
        .map(|line| {
            let (verdict, diagnostics) = check(&line);
            assert_eq!(diagnostics, "");
            shown(&verdict)
        })
        .into();
    insta::assert_snapshot!(shown.join("\n"));
}

/// Invariants 7 and 11: each is a diagnostic with file and line, trusts nobody, and hurts no other line.
#[test]
fn invariant_7_lines_that_cannot_be_used_say_why_and_hurt_no_other() {
    let key = public(&ssh_key(2));
    let rsa = format!("ssh-rsa {RSA_1024}");
    let lines = [
        "ada@example.org".to_owned(),
        format!("\"ada@example.org {key}"),
        format!("\"\" {key}"),
        format!("* namespaces=\"git\" # {key}"),
        "* namespaces=\"git\"".to_owned(),
        format!("* cert-authority {key}"),
        format!("* cert-authority,namespaces=\"git\" {key}"),
        format!("* namespaces=\"\" {key}"),
        format!("* valid-after {key}"),
        format!("* valid-after=\"tomorrow\" {key}"),
        format!("* valid-after=\"20270101\",valid-before=\"20260101\" {key}"),
        format!("* namespaces=\"git\",namespaces=\"file\" {key}"),
        format!("* verify-required {key}"),
        "* ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
        "* ssh-dss AAAA".to_owned(),
        "* ssh-ed25519 AAAA".to_owned(),
        "* ssh-ed25519 !".to_owned(),
        format!("* {}", key.replace("ssh-ed25519", "ssh-rsa")),
        format!("* {rsa}"),
        "\u{fffd}\u{0}\u{7}".to_owned(),
    ];
    let text = format!("{}\nada@example.org {}\n", lines.join("\n"), public(&ssh_key(1)));
    let (verdict, diagnostics) = check(&text);
    assert_eq!(verdict, Verdict::Trusted { signer: ADA.to_owned() });
    let places: Vec<_> = diagnostics.lines().map(|line| line.split(':').nth(1).unwrap()).collect();
    let all: Vec<_> = (1..=lines.len()).map(|line| line.to_string()).collect();
    assert_eq!(places, all, "one for each line");
    insta::assert_snapshot!(diagnostics);
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_stop(text in "([ -~]|[\"\\\\,=\n]|ssh-ed25519 |namespaces=|cert-authority){0,120}") {
        let key = public(&ssh_key(1));
        let (verdict, _) = check(&format!("{text}\n* {key}"));
        proptest::prop_assert_eq!(verdict, Verdict::Trusted { signer: ADA.to_owned() });
    }
}
