//! Push notifications, signed and unsigned.

use std::collections::BTreeMap;

use skerry_gitops::reference::Reference;
use skerry_gitops::webhook::{WebhookError, concerns, pushed_reference, verify};

/// From GitHub's documentation: "Validating webhook deliveries".
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = "Hello, World!";
const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn check(headers: &[(&str, &str)], body: &str, secret: &str) -> Result<(), WebhookError> {
    let headers: BTreeMap<_, _> = headers.iter().copied().collect();
    verify(|name| headers.get(name).copied(), body.as_bytes(), secret.as_bytes())
}

#[test]
fn each_forge_is_understood() {
    let hub = format!("sha256={SIGNATURE}");
    let upper = SIGNATURE.to_ascii_uppercase();
    let accepted: [&[(&str, &str)]; 5] = [
        &[("x-hub-signature-256", &hub)],
        &[("x-gitea-signature", SIGNATURE)],
        &[("x-gitea-signature", &upper)],
        &[("x-forgejo-signature", SIGNATURE), ("x-gitea-signature", SIGNATURE)],
        &[("x-gitlab-token", SECRET)],
    ];
    for headers in accepted {
        assert_eq!(check(headers, BODY, SECRET), Ok(()), "{headers:?}");
    }
}

#[test]
fn everything_else_is_refused() {
    let hub = format!("sha256={SIGNATURE}");
    let zeros = "0".repeat(64);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, WebhookError);
    let table: [Case<'_>; 11] = [
        (&[], BODY, SECRET, WebhookError::Unsigned),
        (&[("x-github-event", "push")], BODY, SECRET, WebhookError::Unsigned),
        (&[("x-hub-signature-256", &hub)], "Hello, World?", SECRET, WebhookError::Mismatch),
        (&[("x-hub-signature-256", &hub)], BODY, "another", WebhookError::Mismatch),
        (&[("x-hub-signature-256", SIGNATURE)], BODY, SECRET, WebhookError::Malformed),
        (&[("x-hub-signature-256", "sha256=")], BODY, SECRET, WebhookError::Malformed),
        (&[("x-gitea-signature", &SIGNATURE[1..])], BODY, SECRET, WebhookError::Malformed),
        (&[("x-gitea-signature", "é")], BODY, SECRET, WebhookError::Malformed),
        (&[("x-forgejo-signature", &zeros)], BODY, SECRET, WebhookError::Mismatch),
        (&[("x-gitlab-token", "It's a Secret to Everybod")], BODY, SECRET, WebhookError::Mismatch),
        (&[("x-gitlab-token", "")], BODY, "", WebhookError::NoSecret),
    ];
    for (headers, body, secret, error) in table {
        assert_eq!(check(headers, body, secret), Err(error), "{headers:?}");
    }
}

#[test]
fn a_wrong_signature_is_not_saved_by_a_right_one_of_another_header() {
    let zeros = format!("sha256={}", "0".repeat(64));
    let headers = [("x-hub-signature-256", zeros.as_str()), ("x-gitlab-token", SECRET)];
    assert_eq!(check(&headers, BODY, SECRET), Err(WebhookError::Mismatch));
}

#[test]
fn pushes_to_other_branches_do_not_concern_a_source() {
    let main = Reference::Branch("main".to_owned());
    let tag = Reference::Tag("v1".to_owned());
    let commit = Reference::Commit("0123456789012345678901234567890123456789".parse().unwrap());
    let table = [
        (r#"{"ref": "refs/heads/main", "after": "…"}"#, true, false),
        (r#"{"ref": "refs/heads/main2"}"#, false, false),
        (r#"{"ref": "refs/tags/v1"}"#, false, true),
        (r#"{"zen": "Keep it logically awesome."}"#, true, true),
        (r#"{"ref": 5}"#, true, true),
        ("payload=%7B%7D", true, true),
        ("", true, true),
    ];
    for (body, for_main, for_tag) in table {
        assert_eq!(concerns(body.as_bytes(), &main), for_main, "{body}");
        assert_eq!(concerns(body.as_bytes(), &tag), for_tag, "{body}");
        assert!(concerns(body.as_bytes(), &commit), "{body}");
    }
    assert_eq!(pushed_reference(br#"{"ref": "refs/heads/main"}"#).as_deref(), Some("refs/heads/main"));
}
