//! Cases of join tokens: their text, and who may enrol with them.

use proptest::prelude::*;

use super::*;
use crate::fixture::{NOW, at, mesh, site};

fn token(site_name: &str, core: Option<&str>) -> JoinToken {
    JoinToken {
        site: site(site_name),
        mesh: mesh(),
        core: core.map(str::to_owned),
        pin: Thumbprint::of_spki(b"a key"),
        issued: NOW,
        expires: at(24),
        secret: TokenSecret::generate().unwrap(),
    }
}

fn fields(token: &JoinToken) -> impl PartialEq + fmt::Debug {
    let JoinToken { site, mesh, core, pin, issued, expires, secret } = token.clone();
    (site, mesh, core, pin, issued, expires, secret.0)
}

#[test]
fn a_token_is_written_and_read_back() {
    let longest = "c".repeat(MAX_CORE_BYTES);
    for core in [None, Some("https://core.example:7443"), Some(longest.as_str())] {
        let token = token("oslo", core);
        let text = token.to_text().unwrap();
        assert!(text.starts_with("skerry-join.v1."), "{}", *text);
        let spaced = format!("  {}\n", *text);
        assert_eq!(fields(&spaced.parse().unwrap()), fields(&token));
    }
    assert!(token("oslo", None).to_text().unwrap().len() < 190, "short enough for a message");
    assert!(token("oslo", Some(&"c".repeat(MAX_CORE_BYTES + 1))).to_text().is_none());
}

#[test]
fn what_is_no_token_is_refused_in_words_that_help() {
    let text = token("oslo", None).to_text().unwrap();
    let parse = |text: &str| text.parse::<JoinToken>().map(|_| ()).unwrap_err();
    for other in ["", "oslo", "SKERRY-JOIN.v1.abc", "eyJhbGciOi.J9.abc"] {
        assert_eq!(parse(other), InvalidToken::NotAToken, "{other}");
    }
    assert_eq!(parse("skerry-join.v2.abcd"), InvalidToken::UnknownVersion);
    assert_eq!(parse("skerry-join.abcd"), InvalidToken::Damaged);
    let body = PREFIX.len() + VERSION.len();
    for length in body..text.len() {
        assert_eq!(parse(&text[..length]), InvalidToken::Damaged, "cut at {length}");
    }
    for index in body..text.len() {
        let replacement = if text[index..].starts_with('A') { "B" } else { "A" };
        let typo = [&text[..index], replacement, &text[index + 1..]].concat();
        assert_eq!(parse(&typo), InvalidToken::Damaged, "typo at {index}");
    }
    assert_eq!(parse(&format!("{}A", *text)), InvalidToken::Damaged);
    assert_eq!(
        parse(&format!("{PREFIX}{VERSION}{}", "A".repeat(MAX_TOKEN_BYTES + 1))),
        InvalidToken::Damaged
    );
    assert!(InvalidToken::NotAToken.to_string().contains("skerry site enroll"));
}

#[test]
fn a_clock_that_cannot_be_right_gives_way_to_the_token() {
    let token = token("oslo", None);
    for clock in [NOW, at(1), at(24)] {
        assert_eq!(token.time(clock), EnrolTime::Clock(clock));
    }
    let (epoch, far) = (Timestamp(0), at(24 * 365 * 12));
    for clock in [epoch, Timestamp(NOW.0 - 1), Timestamp(at(24).0 + 1), far] {
        assert_eq!(token.time(clock), EnrolTime::Suspect(NOW));
    }
}

#[test]
fn no_secret_is_shown() {
    let token = token("oslo", None);
    let shown = format!("{token:?} {token:#?}");
    assert!(shown.contains("TokenSecret(…)"), "{shown}");
    let text = token.to_text().unwrap();
    assert!(!shown.contains(&text[30..50]), "{shown}");
    let decimal = format!("{}, {}, {}", token.secret.0[0], token.secret.0[1], token.secret.0[2]);
    assert!(!shown.contains(&decimal), "{shown}");
    let record = TokenRecord::new(site("oslo"), &token.secret, at(1));
    assert!(!format!("{record:?}").contains(&decimal));
}

/// A token for `oslo` that lasts a day, and a judgement of each kind of claim.
#[test]
fn a_table_of_claims() {
    let (secret, other) = (TokenSecret::generate().unwrap(), TokenSecret::generate().unwrap());
    let [box_a, box_b] = ["a", "b"].map(|key| Thumbprint::of_spki(key.as_bytes()));
    let fresh = TokenRecord::new(site("oslo"), &secret, at(24));
    let first = Use { key: box_a, at: at(1) };
    let used = TokenRecord { used: Some(first), ..fresh.clone() };
    let (oslo, bergen) = (site("oslo"), site("bergen"));
    let (epoch, last) = (Timestamp(0), Timestamp(at(24).0 - 1));
    let by = |site, secret, key| Claim { site, secret, key };
    let cases = [
        ("first", &fresh, by(&oslo, &secret, box_a), at(1), Ok(first)),
        ("the answer was lost: once more", &used, by(&oslo, &secret, box_a), at(2), Ok(first)),
        ("a second box", &used, by(&oslo, &secret, box_b), at(2), Err(TokenRefusal::Used(first))),
        ("a second box, late", &used, by(&oslo, &secret, box_b), at(25), Err(TokenRefusal::Used(first))),
        ("another secret", &fresh, by(&oslo, &other, box_a), at(1), Err(TokenRefusal::Unknown)),
        ("another secret, used", &used, by(&oslo, &other, box_a), at(1), Err(TokenRefusal::Unknown)),
        (
            "another site",
            &fresh,
            by(&bergen, &secret, box_a),
            at(1),
            Err(TokenRefusal::OtherSite(oslo.clone())),
        ),
        ("the last moment", &fresh, by(&oslo, &secret, box_a), last, Ok(Use { key: box_a, at: last })),
        ("over", &fresh, by(&oslo, &secret, box_a), at(24), Err(TokenRefusal::Expired(at(24)))),
        ("once more, over", &used, by(&oslo, &secret, box_a), at(24), Err(TokenRefusal::Expired(at(24)))),
        (
            "a clock that is behind",
            &fresh,
            by(&oslo, &secret, box_a),
            epoch,
            Ok(Use { key: box_a, at: epoch }),
        ),
    ];
    for (name, record, claim, now, expected) in cases {
        assert_eq!(record.judge(&claim, now), expected, "{name}");
    }
}

#[test]
fn a_record_is_stored_and_read_back() {
    let secret = TokenSecret::generate().unwrap();
    let mut record = TokenRecord::new(site("oslo"), &secret, NOW);
    record.used = Some(Use { key: Thumbprint::of_spki(b"a"), at: at(1) });
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<TokenRecord>(&json).unwrap(), record);
    assert_eq!(TokenSecret::from_slice(secret.as_bytes()).unwrap().0, secret.0);
    assert!(TokenSecret::from_slice(&[0; 31]).is_none());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(skerry-join\\.(v1\\.)?)?\\PC{0,200}") {
        prop_assert!(text.parse::<JoinToken>().is_err());
    }

    /// Behind a checksum that is right.
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let whole = [&bytes[..], &checksum(&bytes)].concat();
        let text = format!("{PREFIX}{VERSION}{}", URL_SAFE_NO_PAD.encode(whole));
        if let Ok(token) = text.parse::<JoinToken>() {
            prop_assert_eq!(&*token.to_text().unwrap(), &text);
        }
    }
}
