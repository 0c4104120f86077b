//! The command line: what is wrong with it is said in plain words, with help, and exit code 2.

use crate::site::Site;

#[test]
fn a_wrong_option_is_said_in_plain_words() {
    let loopback = "http://127.0.0.1:1";
    for (core, more, expected) in [
        ("http://10.0.0.1:7443", &[][..], "--core http://10.0.0.1:7443: only a loopback address is accepted"),
        ("core.example", &[], "--core core.example: not an address (help: write http://127.0.0.1:PORT)"),
        (
            loopback,
            &["--pull-interval", "soon"],
            "--pull-interval soon: not a time between 1ms and 24h (help:",
        ),
        (loopback, &["--log", "a=b=c"], "--log a=b=c: "),
    ] {
        let output = Site::at(core).with(more).command().output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.starts_with(expected) && words.contains("(help: "), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_said_in_plain_words() {
    let site = Site::at("http://127.0.0.1:1");
    fs_err::write(site.data(), b"a file").unwrap();
    let output = site.command().output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.starts_with("error: cannot prepare the data folder: "), "{words}");
}
