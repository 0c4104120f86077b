//! Addresses of repositories, and what is printed of them.

use skerry_gitops::remote::{Remote, Transport};

#[test]
fn addresses_are_recognized_as_git_does() {
    use Transport::{Http, Local, Ssh};
    let table = [
        ("https://git.example.org/fleet.git", Http, "git.example.org", None),
        ("http://127.0.0.1:8080/a", Http, "127.0.0.1", Some(8080)),
        (" https://git.example.org/fleet.git\n", Http, "git.example.org", None),
        ("ssh://git@git.example.org:2222/fleet.git", Ssh, "git.example.org", Some(2222)),
        ("git@git.example.org:fleet/policies.git", Ssh, "git.example.org", None),
        ("git.example.org:fleet.git", Ssh, "git.example.org", None),
        ("git@git.example.org:fleet/policies@2.git", Ssh, "git.example.org", None),
        ("ssh://git@[2001:db8::1]/fleet.git", Ssh, "2001:db8::1", None),
        ("file:///srv/fleet.git", Local, "", None),
        ("/srv/fleet.git", Local, "", None),
        ("../fleet", Local, "", None),
        ("./a:b", Local, "", None),
        ("dir/with:colon", Local, "", None),
    ];
    for (text, transport, host, port) in table {
        let remote = Remote::parse(text).unwrap();
        assert_eq!((remote.transport(), remote.host(), remote.port()), (transport, host, port), "{text}");
    }
}

#[test]
fn what_cannot_be_fetched_is_refused_with_a_reason() {
    let texts = ["", "git://git.example.org/x", "ftp://h/x", "https://", "ssh://", "s3://b/x"];
    let errors: Vec<_> = texts
        .iter()
        .map(|text| {
            let error = Remote::parse(text).unwrap_err();
            format!("{error}\n  help: {}", error.help())
        })
        .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn passwords_are_never_printed() {
    let texts = [
        "https://ada:s3cret@git.example.org/fleet.git",
        "https://s3cret@git.example.org/fleet.git",
        "https://git.example.org/fleet.git?private_token=s3cret",
        "ssh://git:s3cret@git.example.org/fleet.git",
        "https://s3cret%40@git.example.org",
    ];
    for text in texts {
        let remote = Remote::parse(text).unwrap();
        assert!(!remote.to_string().contains("s3cret"), "{remote}");
    }
    let remote = Remote::parse("https://ada:s3cret@git.example.org/fleet.git").unwrap();
    assert!(!format!("{remote:?}").contains("s3cret"), "{remote:?}");
    let refused = [
        "git://s3cret@h/x",
        "ftp://a:s3cret@h/x",
        "https://s3cret@",
        "https://a:s3cret@:x/y",
        "ada:s3cret@git.example.org:fleet.git",
        "ada:s3/s3cret@git.example.org:fleet.git",
        "ada:s3cret@git.example.org/fleet.git",
        "ada@example.org:s3cret@git.example.org:fleet.git",
    ];
    for text in refused {
        let error = Remote::parse(text).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
