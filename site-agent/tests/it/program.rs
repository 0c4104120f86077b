//! The command line: what is wrong with it is said in plain words, with help, and exit code 2.

use crate::site::Site;

#[test]
fn a_wrong_option_is_said_in_plain_words() {
    let good = "https://127.0.0.1:1";
    for (core, more, expected) in [
        (
            "http://10.0.0.1:7443",
            &[][..],
            "--core http://10.0.0.1:7443: not an address (help: write https://HOST:PORT)",
        ),
        ("core.example", &[], "--core core.example: not an address (help: write https://HOST:PORT)"),
        (good, &["--pull-interval", "soon"], "--pull-interval soon: not a time between 1ms and 24h (help:"),
        (good, &["--log", "a=b=c"], "--log a=b=c: "),
    ] {
        let output = Site::at(core).with(more).command().output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.starts_with(expected) && words.contains("(help: "), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

/// Without an identity it says how one is had, and takes nothing for one that is somebody else's or half a one.
#[test]
fn an_agent_that_is_not_enrolled_says_how_it_is() {
    let site = Site::at("https://127.0.0.1:1");
    let mut command = site.command();
    let identity = site.data().join("identity.json");
    let run = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let whole = fs_err::read_to_string(&identity).unwrap();
    fs_err::write(&identity, &whole[..whole.len() / 2]).unwrap();
    let words = run(&mut command);
    assert!(words.contains("identity.json is damaged") && words.contains("enrol the site again"), "{words}");
    assert!(!words.contains("PRIVATE KEY") && !words.contains("BEGIN"), "{words}");
    fs_err::remove_file(&identity).unwrap();
    let words = run(&mut command);
    assert!(words.contains("this agent is not enrolled (help: `skerry site enroll SITE`"), "{words}");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_in_plain_words() {
    let site = Site::at("https://127.0.0.1:1");
    fs_err::write(site.data(), b"a file").unwrap();
    let output = site.command().output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("Not a directory"), "{words}");
}
