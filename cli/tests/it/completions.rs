//! `skerry completions`, and an output that nobody reads to its end.

use std::process::Stdio;

use crate::folder::Folder;
use crate::run::{command, skerry};

#[test]
fn every_shell_has_its_script() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = skerry(folder.path(), &["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("describe"), "{shell}");
    }
}

#[test]
fn a_closed_pipe_is_no_drama() {
    let folder = Folder::empty();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        command(folder.path()).args(["completions", "bash"]).stdout(Stdio::from(writer)).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}
