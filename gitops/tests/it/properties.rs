//! Properties over random sources: invariants 1, 3 and 7 at the level of the source, and ages that no move can change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use skerry_core::diagnostic::Severity;
use skerry_core::policy::Object;
use skerry_gitops::age::Ages;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::oid::CommitId;
use skerry_gitops::snapshot::catalog::{Batch, Catalog};
use skerry_gitops::snapshot::file::SourceFile;
use skerry_gitops::snapshot::kept::KeptFiles;
use skerry_gitops::snapshot::load::{load_past, load_revision};
use skerry_gitops::snapshot::{Aging, SourceTree};

use crate::repository::{
    MAIN, State, TestRepo, UNREADABLE, file, id, key, refused, route, route_key, service,
};

const PATHS: [&str; 4] = ["a.yaml", "b.yaml", "deep/c.yaml", "deep/d.yml"];
const NAMES: [&str; 5] = ["ads", "cart", "mail", "pay", "ship"];

#[derive(Debug, Clone)]
enum Text {
    Good(usize, u16),
    Refused(usize),
    Route(usize, u16, State),
    Nameless,
    Unreadable,
    Foreign,
}

impl Text {
    fn print(&self) -> String {
        match self {
            Self::Good(name, port) => service(NAMES[*name], *port),
            Self::Refused(name) => refused(NAMES[*name]),
            Self::Route(name, port, state) => route(NAMES[*name], *port, *state),
            Self::Nameless => {
                "apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {ports: [{port: 80}]}\n".to_owned()
            }
            Self::Unreadable => UNREADABLE.to_owned(),
            Self::Foreign => "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\n".to_owned(),
        }
    }
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        6 => (0..NAMES.len(), 80_u16..84).prop_map(|(name, port)| Text::Good(name, port)),
        2 => (0..NAMES.len()).prop_map(Text::Refused),
        6 => (0..NAMES.len(), 80_u16..84, state()).prop_map(|(name, port, state)| Text::Route(name, port, state)),
        1 => Just(Text::Nameless),
        1 => Just(Text::Unreadable),
        1 => Just(Text::Foreign),
    ]
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![3 => Just(State::Good), 1 => Just(State::Warned), 3 => Just(State::Flawed), 1 => Just(State::Refused)]
}

/// What a commit does to one file.
#[derive(Debug, Clone)]
enum Edit {
    Write(Vec<Text>),
    Enlarge,
    Delete,
    MoveTo(usize),
}

fn edit() -> impl Strategy<Value = (usize, Edit)> {
    let edit = prop_oneof![
        8 => vec(text(), 0..4).prop_map(Edit::Write),
        1 => Just(Edit::Enlarge),
        2 => Just(Edit::Delete),
        2 => (0..PATHS.len()).prop_map(Edit::MoveTo),
    ];
    (0..PATHS.len(), edit)
}

type Files = BTreeMap<&'static str, String>;

fn carry_out(files: &mut Files, (path, edit): &(usize, Edit)) {
    let path = PATHS[*path];
    match edit {
        Edit::Write(texts) => {
            let documents: Vec<_> = texts.iter().map(Text::print).collect();
            files.insert(path, file(&documents));
        }
        Edit::Enlarge => {
            files.insert(path, "#".repeat(FILE_BYTES + 1));
        }
        Edit::Delete => {
            files.remove(path);
        }
        Edit::MoveTo(target) => {
            if let Some(text) = files.remove(path) {
                files.insert(PATHS[*target], text);
            }
        }
    }
}

/// Commits each step; every third is merged in as a side branch.
fn commit_all(repo: &TestRepo, steps: &[Vec<(usize, Edit)>]) -> Vec<CommitId> {
    let mut files = Files::new();
    let mut commits = Vec::new();
    for (number, edits) in steps.iter().enumerate() {
        edits.iter().for_each(|edit| carry_out(&mut files, edit));
        let tree: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let mut parents: Vec<_> = commits.last().copied().into_iter().collect();
        if number % 3 == 2 {
            parents.push(repo.commit_on(&parents, &tree));
        }
        commits.push(repo.commit_on(&parents, &tree));
    }
    commits
}

fn read(files: &Files) -> Batch {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Some(SourceFile::read(path, None, text.as_bytes()))))
        .collect()
}

fn objects(catalog: &Catalog) -> Vec<Object> {
    catalog.objects().map(|object| Object::clone(object)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Invariant 3: incremental equals from-scratch, after any sequence of commits and restarts.
    #[test]
    fn invariant_3_advances_equal_a_restore_from_scratch(
        steps in vec(vec(edit(), 1..4), 1..8),
        restart in any::<Index>(),
    ) {
        let repo = TestRepo::new();
        let commits = commit_all(&repo, &steps);
        let history = repo.history();
        let mut followed = SourceTree::new("", Aging::FromHistory);
        let mut restarted = SourceTree::new("", Aging::FromHistory);
        let restart = restart.index(commits.len());
        let mut world = BTreeMap::new();
        for (number, commit) in commits.iter().enumerate() {
            let advance = followed.advance(&history, *commit).unwrap();
            prop_assert_eq!(&advance, &restarted.advance(&history, *commit).unwrap());
            world.retain(|key, _| !advance.deletes.contains(key));
            world.extend(advance.upserts.into_iter().map(|aged| (aged.object.key.clone(), aged)));
            prop_assert_eq!(world.values().cloned().collect::<Vec<_>>(), followed.objects().collect::<Vec<_>>());
            if number == restart {
                let ages = restarted.ages().unwrap().clone();
                let (restored, _) = SourceTree::restore(&history, "", *commit, (restarted.holds(), &KeptFiles::default()), ages).unwrap();
                prop_assert_eq!(&restored, &followed);
                restarted = restored;
            }
        }
    }

    /// Invariant 3: with nothing held, following commits gives what the offline commands read at once.
    #[test]
    fn invariant_3_advances_without_holds_equal_one_load(steps in vec(vec(edit(), 1..4), 1..8)) {
        let repo = TestRepo::new();
        let commits = commit_all(&repo, &steps);
        let last = *commits.last().unwrap();
        repo.set_branch(MAIN, last);
        let history = repo.history();
        let mut tree = SourceTree::new("", Aging::FromHistory);
        for commit in &commits {
            tree.advance(&history, *commit).unwrap();
        }

        let loaded = load_revision(repo.path(), MAIN, "", Aging::FromHistory).unwrap();

        let held = tree.holds().clone();
        let followed: Vec<_> = tree
            .objects()
            .filter(|aged| !held.contains_key(&aged.object.key))
            .map(|aged| (Object::clone(&aged.object), aged.age))
            .collect();
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let flawed: BTreeSet<_> = errors.filter_map(|error| error.object.clone()).collect();
        let (not_followed, read): (Vec<_>, Vec<_>) =
            loaded.objects.into_iter().partition(|(object, _)| held.contains_key(&object.key));
        prop_assert_eq!(followed, read);
        prop_assert!(not_followed.iter().all(|(object, _)| flawed.contains(&object.key)));
    }

    /// What the offline commands find in the history is what a core holds that followed it commit by commit.
    #[test]
    fn the_past_that_is_read_holds_what_a_core_holds(steps in vec(vec(edit(), 1..4), 1..8)) {
        let repo = TestRepo::new();
        let commits = commit_all(&repo, &steps);
        repo.set_branch(MAIN, *commits.last().unwrap());
        let history = repo.history();
        let mut tree = SourceTree::new("", Aging::FromHistory);
        for commit in &commits {
            tree.advance(&history, *commit).unwrap();
        }

        let loaded = load_revision(repo.path(), MAIN, "", Aging::FromHistory).unwrap();
        let past = load_past(repo.path(), "", &loaded).unwrap();
        let loaded = past.map_or(loaded.clone(), |past| loaded.after(&past));

        prop_assert_eq!(loaded.holds(), tree.holds());
        let followed = tree.objects().map(|aged| (Object::clone(&aged.object), aged.age));
        prop_assert_eq!(loaded.objects, followed.collect::<Vec<_>>());
        prop_assert_eq!(loaded.diagnostics, tree.standing().unwrap().diagnostics);
    }

    /// Invariant 1, at the source: the order in which files arrive does not matter.
    #[test]
    fn invariant_1_the_order_of_files_does_not_matter(
        texts in vec(vec(text(), 0..4), PATHS.len()),
        order in Just((0..PATHS.len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let print = |texts: &Vec<Text>| file(&texts.iter().map(Text::print).collect::<Vec<_>>());
        let files: Files = PATHS.into_iter().zip(texts.iter().map(print)).collect();
        let mut at_once = Catalog::default();
        at_once.apply(read(&files), None);
        let mut one_by_one = Catalog::default();
        for path in order {
            let one = Files::from([(PATHS[path], files[PATHS[path]].clone())]);
            one_by_one.apply(read(&one), None);
        }

        prop_assert_eq!(one_by_one, at_once);
    }

    /// Invariant 7: one bad document hurts only itself. Read at once, only its object is missing.
    #[test]
    fn invariant_7_one_bad_document_hurts_only_itself(
        places in vec(0..PATHS.len(), 1..=NAMES.len()),
        victim in any::<Index>(),
        damage in 0..4_usize,
    ) {
        let victim = victim.index(places.len());
        let print = |damaged: bool| {
            let mut documents: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (name, path) in places.iter().enumerate() {
                let good = route(NAMES[name], 80, State::Good);
                let bad = damage_of(damage, name);
                documents.entry(PATHS[*path]).or_default().push(if damaged && name == victim { bad } else { good });
            }
            documents.into_iter().map(|(path, documents)| (path, file(&documents))).collect::<Files>()
        };
        let (good, bad) = (print(false), print(true));
        let mut before = Catalog::default();
        before.apply(read(&good), None);
        let mut after = Catalog::default();
        after.apply(read(&bad), None);

        let names = |catalog: &Catalog| objects(catalog).into_iter().map(|object| object.key).collect::<Vec<_>>();
        let mut expected = names(&before);
        expected.retain(|object| *object != route_key(NAMES[victim]));
        prop_assert_eq!(names(&after), expected);
        prop_assert!(!after.diagnostics().is_empty());
        let place = PATHS[places[victim]];
        prop_assert!(after.diagnostics().iter().all(|diagnostic| diagnostic.location.file == place));
    }

    /// Invariant 7: one bad commit loses nothing. Followed, even the damaged object stays.
    #[test]
    fn invariant_7_one_bad_commit_loses_nothing(
        places in vec(0..PATHS.len(), 1..=NAMES.len()),
        victim in any::<Index>(),
        damage in 0..6_usize,
    ) {
        let repo = TestRepo::new();
        let victim = victim.index(places.len());
        let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, path) in places.iter().enumerate() {
            files.entry(PATHS[*path]).or_default().push(route(NAMES[name], 80, State::Good));
        }
        let commit = |files: &BTreeMap<&str, Vec<String>>| {
            let files: Vec<_> = files.iter().map(|(path, documents)| (*path, file(documents))).collect();
            repo.commit(MAIN, &files.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>())
        };
        let good = commit(&files);
        let documents = files.get_mut(PATHS[places[victim]]).unwrap();
        let at = documents.iter().position(|text| *text == route(NAMES[victim], 80, State::Good)).unwrap();
        documents[at] = damage_of(damage, victim);
        let bad = commit(&files);
        let history = repo.history();
        let mut tree = SourceTree::new("", Aging::FromHistory);
        let before: Vec<_> = tree.advance(&history, good).unwrap().upserts.into_iter().map(|aged| aged.object.key.clone()).collect();
        let victim_before = tree.object(&route_key(NAMES[victim]));

        let step = tree.advance(&history, bad).unwrap();

        prop_assert!(step.deletes.is_empty());
        prop_assert_eq!(tree.object(&route_key(NAMES[victim])), victim_before);
        prop_assert_eq!(tree.objects().map(|aged| aged.object.key.clone()).collect::<Vec<_>>(), before);
        prop_assert!(tree.holds().contains_key(&route_key(NAMES[victim])));
        prop_assert!(damage == 4 || tree.holds().len() == 1);
    }

    /// Ages depend on neither file names nor moves, and not on how many commits were read at once.
    #[test]
    fn ages_depend_on_neither_names_nor_moves_nor_steps(
        steps in vec(vec((0..NAMES.len(), 80_u16..84, 0..PATHS.len()), 1..4), 1..8),
        other in vec(0..PATHS.len(), 64),
        stride in 1..4_usize,
    ) {
        let mut other = other.into_iter();
        let (repo, moved) = (TestRepo::new(), TestRepo::new());
        let (mut tree, mut moved_tree): (BTreeMap<_, _>, BTreeMap<_, _>) = Default::default();
        let (mut commits, mut last) = (Vec::new(), None);
        for step in &steps {
            for (name, port, path) in step {
                tree.insert(*name, (*path, *port));
                moved_tree.insert(*name, (other.next().unwrap_or(0), *port));
            }
            commits.push(commit_by_name(&repo, &tree));
            last = Some(commit_by_name(&moved, &moved_tree));
        }
        let mut stepwise = Ages::new("");
        for commit in commits.iter().step_by(stride).chain(commits.last()) {
            stepwise.advance(&repo.history(), *commit).unwrap();
        }
        let mut elsewhere = Ages::new("");
        elsewhere.advance(&moved.history(), last.unwrap()).unwrap();

        for name in NAMES {
            let seconds = |ages: &Ages| ages.first_seen(&key(name)).map(|first| first.seconds);
            prop_assert_eq!(seconds(&stepwise), seconds(&elsewhere), "{}", name);
        }
        let mut at_once = Ages::new("");
        at_once.advance(&repo.history(), *commits.last().unwrap()).unwrap();
        prop_assert_eq!(stepwise, at_once);
    }
}

fn damage_of(damage: usize, name: usize) -> String {
    match damage {
        0 => route(NAMES[name], 81, State::Refused),
        1 => Text::Unreadable.print(),
        2 => Text::Nameless.print(),
        3 => "\u{0}: \"\n  - &a [*b, }\n\tkind: Service\n".to_owned(),
        4 => "#".repeat(FILE_BYTES + 1),
        _ => route(NAMES[name], 81, State::Flawed),
    }
}

fn commit_by_name(repo: &TestRepo, objects: &BTreeMap<usize, (usize, u16)>) -> CommitId {
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, (path, port)) in objects {
        files.entry(PATHS[*path]).or_default().push(service(NAMES[*name], *port));
    }
    let files: Vec<_> = files.iter().map(|(path, documents)| (*path, file(documents))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let parent = repo.repo.refname_to_id("refs/heads/main").ok().map(id);
    let commit = repo.commit_on(&parent.into_iter().collect::<Vec<_>>(), &files);
    repo.set_branch(MAIN, commit);
    commit
}
