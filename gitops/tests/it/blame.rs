//! Which commit a line comes from.

use skerry_gitops::blame::{line_before, line_commit};

use crate::repository::{MAIN, TestRepo};

#[test]
fn a_line_is_traced_to_the_commit_that_wrote_it() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("d/a.yaml", "one\ntwo\nthree\n")]);
    let second = repo.commit(MAIN, &[("d/a.yaml", "one\n2\nthree\n"), ("b.yaml", "x\n")]);
    let third = repo.commit(MAIN, &[("d/a.yaml", "one\n2\nthree\nfour\n")]);
    let history = repo.history();
    let blame = |revision, line| line_commit(&history, revision, "d/a.yaml", line).unwrap();

    assert_eq!(blame(third, 1).unwrap().commit, first);
    assert_eq!(blame(third, 2).unwrap().commit, second);
    assert_eq!(blame(third, 4).unwrap().commit, third);
    assert_eq!(blame(first, 2).unwrap().commit, first);
    let line = blame(third, 2).unwrap();
    assert_eq!((line.summary.as_str(), line.author.as_str(), line.seconds), ("change at 1100", "Ada", 1_100));
}

#[test]
fn what_is_not_there_has_no_commit() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", "one\n"), ("empty.yaml", "")]);
    let history = repo.history();

    for (path, line) in [("a.yaml", 2), ("a.yaml", 0), ("a.yaml", u32::MAX), ("b.yaml", 1), ("empty.yaml", 1)]
    {
        assert_eq!(line_commit(&history, first, path, line).unwrap(), None, "{path}:{line}");
    }
}

/// Lines that were not changed are where they were, however many came and went before them.
#[test]
fn a_line_of_a_changed_text_is_found_where_it_was() {
    let before = (1..=20).map(|line| format!("{line}\n")).collect::<String>();
    let now =
        before.replace("2\n3\n", "2\nnew\nnew\n3\n").replace("\n10\n", "\nten\n").replace("\n15\n16\n", "\n");
    let lines: Vec<&str> = now.lines().collect();
    let found = lines.iter().zip(1..).map(|(_, line)| line_before(before.as_bytes(), now.as_bytes(), line));
    let expected = lines.iter().map(|text| text.parse::<u32>().ok());
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(line_before(before.as_bytes(), before.as_bytes(), 7), Some(7));
}
