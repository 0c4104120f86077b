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

/// What a person gets who types a part of a word and presses the tabulator.
#[test]
#[allow(clippy::print_stderr, reason = "a test that is passed over must say why")]
fn a_word_is_completed_by_the_script_for_bash() {
    let folder = Folder::empty();
    folder.write("skerry.bash", skerry(folder.path(), &["completions", "bash"]).stdout);
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "source ./skerry.bash; COMP_WORDS=({words}); COMP_CWORD={at}; _skerry skerry \"${{COMP_WORDS[{at}]}}\" \
             \"${{COMP_WORDS[{at}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let bash = std::process::Command::new("bash")
            .args(["--norc", "-c", &ask])
            .current_dir(folder.path())
            .output();
        bash.ok().map(|output| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let Some(completed) = complete("skerry site de", 2) else {
        return eprintln!("skipped: there is no bash");
    };
    assert_eq!(completed, "describe");
    assert_eq!(complete("skerry valid", 1).unwrap(), "validate");
    assert_eq!(complete("skerry validate --sour", 2).unwrap(), "--source");
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
