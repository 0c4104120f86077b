//! Every input of the corpus, and a bounded number of others that are made of it, the same each time: where no fuzzer runs.

use std::path::{Path, PathBuf};

use skerry_fuzz_bodies::mutation::{Random, mutate};
use skerry_fuzz_bodies::{Reach, TARGETS, Target};

/// How many inputs are made for each target, unless `SKERRY_FUZZ` says it: some seconds in all.
const MADE: usize = 2_000;

fn made() -> usize {
    let given = std::env::var_os("SKERRY_FUZZ").and_then(|given| given.to_str()?.parse().ok());
    given.unwrap_or(MADE)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).expect("it can be listed");
    let name = |entry: std::io::Result<fs_err::DirEntry>| {
        entry.expect("it can be listed").file_name().into_string().expect("names are text")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// The kept inputs of a target, by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("corpus").join(target.name);
    let read = |name: String| (name.clone(), fs_err::read(folder.join(name)).expect("it can be read"));
    names(&folder).into_iter().map(read).collect()
}

/// Runs a body; says which input it is that it panics on.
fn run(target: &Target, what: &str, bytes: &[u8]) -> Reach {
    let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    std::panic::catch_unwind(|| (target.body)(bytes))
        .unwrap_or_else(|_| panic!("{}: {what}: it panics on the bytes {}", target.name, hex()))
}

#[test]
fn the_corpus_is_replayed() {
    for target in &TARGETS {
        let corpus = corpus(target);
        let reached: Vec<Reach> = corpus.iter().map(|(name, bytes)| run(target, name, bytes)).collect();
        assert!(
            reached.contains(&Reach::Taken),
            "{}: no input goes all the way: make new ones, see fuzz/README.md",
            target.name
        );
        assert!(reached.contains(&Reach::Refused), "{}: every input goes all the way", target.name);
    }
}

#[test]
fn what_is_made_of_the_corpus_is_tried() {
    for target in &TARGETS {
        let (corpus, mut random) = (corpus(target), Random::of(target.name));
        for number in 0..made() {
            let (name, seed) = random.choose(&corpus).unwrap();
            let (_, other) = random.choose(&corpus).unwrap();
            let made = mutate(&mut random, seed, other);
            run(target, &format!("input {number}, of {name}"), &made);
        }
    }
}

/// Each body has a target of the real fuzzer and a corpus, and there are no others.
#[test]
fn every_target_is_fuzzed_and_has_a_corpus() {
    let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names(&folder().join("corpus")), targets);
    let files: Vec<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder().join("fuzz_targets")), files);
    let manifest = fs_err::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
