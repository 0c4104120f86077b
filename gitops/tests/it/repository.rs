//! Builds repositories commit by commit, with explicit times and no configuration of the user.

use std::cell::Cell;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature, Time};
use skerry_core::id::{Kind, ObjectKey};
use skerry_gitops::history::History;
use skerry_gitops::oid::CommitId;
use tempfile::TempDir;

pub(crate) const MAIN: &str = "main";

/// A bare repository whose clock goes on by 100 s with each commit, from 1,000 s.
pub(crate) struct TestRepo {
    pub(crate) dir: TempDir,
    pub(crate) repo: Repository,
    clock: Cell<i64>,
}

impl TestRepo {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(dir.path().join("policies.git")).unwrap();
        repo.set_head("refs/heads/main").unwrap();
        Self { dir, repo, clock: Cell::new(1_000) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.repo.path()
    }

    pub(crate) fn history(&self) -> History {
        History::open(self.path()).unwrap()
    }

    /// Commits a whole tree on a branch, which is made if it is not there.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) -> CommitId {
        let parent = self.repo.refname_to_id(&format!("refs/heads/{branch}")).ok();
        let commit = self.commit_on(&parent.map(id).into_iter().collect::<Vec<_>>(), files);
        self.set_branch(branch, commit);
        commit
    }

    /// Commits a whole tree on any parents, and moves no branch.
    pub(crate) fn commit_on(&self, parents: &[CommitId], files: &[(&str, &str)]) -> CommitId {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes(), 0o100_644)).collect();
        self.commit_entries(parents, &files)
    }

    /// Commits entries of any mode.
    pub(crate) fn commit_entries(&self, parents: &[CommitId], entries: &[(&str, &[u8], u32)]) -> CommitId {
        let mut index = Index::new().unwrap();
        for (path, bytes, mode) in entries {
            let blob = match *mode {
                // A submodule: any commit id.
                0o160_000 => Oid::hash_object(git2::ObjectType::Commit, bytes).unwrap(),
                _ => self.repo.blob(bytes).unwrap(),
            };
            index.add(&entry(path, blob, *mode)).unwrap();
        }
        let tree = self.repo.find_tree(index.write_tree_to(&self.repo).unwrap()).unwrap();
        let seconds = self.clock.replace(self.clock.get() + 100);
        let signature = Signature::new("Ada", "ada@example.org", &Time::new(seconds, 0)).unwrap();
        let parents: Vec<_> =
            parents.iter().map(|parent| self.repo.find_commit(oid(*parent)).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let message = format!("change at {seconds}");
        id(self.repo.commit(None, &signature, &signature, &message, &tree, &parents).unwrap())
    }

    pub(crate) fn set_branch(&self, branch: &str, commit: CommitId) {
        self.repo.reference(&format!("refs/heads/{branch}"), oid(commit), true, "test").unwrap();
    }

    pub(crate) fn delete_branch(&self, branch: &str) {
        self.repo.find_reference(&format!("refs/heads/{branch}")).unwrap().delete().unwrap();
    }

    /// Sets the time of the next commit.
    pub(crate) fn at(&self, seconds: i64) -> &Self {
        self.clock.set(seconds);
        self
    }
}

fn entry(path: &str, blob: Oid, mode: u32) -> IndexEntry {
    let time = IndexTime::new(0, 0);
    let path = path.as_bytes().to_vec();
    IndexEntry {
        ctime: time,
        mtime: time,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: blob,
        flags: 0,
        flags_extended: 0,
        path,
    }
}

pub(crate) fn id(oid: Oid) -> CommitId {
    oid.to_string().parse().unwrap()
}

pub(crate) fn oid(commit: CommitId) -> Oid {
    commit.to_string().parse().unwrap()
}

/// A `Service` in namespace `shop`.
pub(crate) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    )
}

/// A `Service` that is refused: its identity can be read, its ports cannot.
pub(crate) fn refused(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{ports: many}}\n"
    )
}

/// How a document of an `HTTPRoute` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Good,
    /// Used all the same, with a rule that is not supported: a warning.
    Warned,
    /// Used all the same, with a rule that answers 500: an error.
    Flawed,
    /// Not used: only its identity can be read.
    Refused,
}

/// An `HTTPRoute` in namespace `shop`, with a port to tell its versions apart.
pub(crate) fn route(name: &str, port: u16, state: State) -> String {
    let rest = match state {
        State::Good => "",
        State::Warned => ", sessionPersistence: {type: Cookie}",
        State::Flawed => ", filters: [{type: URLRewrite}]",
        State::Refused => ", timeouts: many",
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: cart}}]\n  \
         rules: [{{backendRefs: [{{name: cart, port: {port}}}]{rest}}}]\n"
    )
}

/// The key of such a route.
pub(crate) fn route_key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::HttpRoute, "shop", name)
}

/// A document that is not YAML.
pub(crate) const UNREADABLE: &str = "apiVersion: v1\nkind: [Service\n";

/// Joins documents to a file.
pub(crate) fn file(documents: &[String]) -> String {
    documents.join("---\n")
}

/// The key of such a service.
pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::Service, "shop", name)
}
