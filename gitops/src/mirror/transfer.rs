//! One fetch, on a thread of its own: ask what the remote has, pick, download what is missing.
//!
//! Must not move references: only a caller that still waits may.

use git2::{AutotagOption, Direction, FetchOptions, Oid, Repository};

use super::failure;
use super::session::{Session, Terms};
use crate::fetch_error::FetchError;
use crate::limits::NAMES_IN_ERROR;
use crate::oid::CommitId;
use crate::reference::Reference;

/// A commit that the mirror has now, with its history.
pub(super) struct Received {
    pub(super) commit: CommitId,
    pub(super) bytes: usize,
}

/// A reference of the remote: full name and object.
type Advertised = (String, Oid);

pub(super) fn run(reference: &Reference, terms: Terms) -> Result<Received, FetchError> {
    let session = Session::new(terms);
    let repo =
        Repository::open_bare(session.dir()).map_err(|error| failure::damaged(session.remote(), &error))?;
    let mut remote =
        repo.remote_anonymous(session.remote().address()).map_err(|error| session.failure(&error))?;
    let mut connection = remote
        .connect_auth(Direction::Fetch, Some(session.callbacks()), None)
        .map_err(|error| session.failure(&error))?;
    let heads = connection.list().map_err(|error| session.failure(&error))?;
    let heads: Vec<Advertised> = heads.iter().map(|head| (head.name().to_owned(), head.oid())).collect();
    let wanted = choose(&heads, reference, &session)?;
    if commit_of(&repo, wanted).is_none() {
        let mut options = FetchOptions::new();
        options.remote_callbacks(session.callbacks()).download_tags(AutotagOption::None);
        let specs = refspecs(reference);
        connection.remote().download(&specs, Some(&mut options)).map_err(|error| session.failure(&error))?;
    }
    let commit = commit_of(&repo, wanted).ok_or_else(|| match repo.find_object(wanted, None) {
        // The remote has it and was asked for it, and it is not here: the mirror cannot be read.
        Err(error) if reference.full_name().is_some() => failure::damaged(session.remote(), &error),
        _ => not_found(&heads, reference, &session),
    })?;
    Ok(Received { commit, bytes: session.received() })
}

/// Picks the object that the reference stands for. A commit may be reachable from anything, so it is looked for later.
fn choose(heads: &[Advertised], reference: &Reference, session: &Session) -> Result<Oid, FetchError> {
    if heads.is_empty() {
        return Err(FetchError::EmptyRepository { remote: session.remote().to_string() });
    }
    let named = |name: &str| heads.iter().find(|(head, _)| head == name).map(|(_, oid)| *oid);
    let found = match (reference, reference.full_name()) {
        (Reference::Commit(commit), _) => Some(commit.to_git()),
        // An annotated tag is advertised twice: as itself, and peeled.
        (_, Some(name)) => named(&format!("{name}^{{}}")).or_else(|| named(&name)),
        (_, None) => None,
    };
    found.ok_or_else(|| not_found(heads, reference, session))
}

fn refspecs(reference: &Reference) -> Vec<String> {
    match reference.full_name() {
        Some(name) => vec![name],
        None => vec!["refs/heads/*:refs/heads/*".to_owned(), "refs/tags/*:refs/tags/*".to_owned()],
    }
}

fn commit_of(repo: &Repository, oid: Oid) -> Option<CommitId> {
    let object = repo.find_object(oid, None).ok()?;
    object.peel_to_commit().ok().map(|commit| CommitId::from_git(commit.id()))
}

fn not_found(heads: &[Advertised], reference: &Reference, session: &Session) -> FetchError {
    let folder = if matches!(reference, Reference::Tag(_)) { "refs/tags/" } else { "refs/heads/" };
    let names = heads.iter().filter_map(|(name, _)| name.strip_prefix(folder));
    let mut known: Vec<String> = names.filter(|name| !name.ends_with("^{}")).map(str::to_owned).collect();
    known.sort();
    let total = known.len();
    known.truncate(NAMES_IN_ERROR);
    let (remote, reference) = (session.remote().to_string(), reference.clone());
    FetchError::RefNotFound { remote, reference, known, total }
}
