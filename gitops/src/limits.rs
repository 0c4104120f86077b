//! The bounds of everything that comes from a repository (ARCHITECTURE.md, invariant 9).

/// Bytes of one fetch, compressed: 1 GiB, some 50 times a policy repository with 10,000 files and a long history.
pub const FETCH_BYTES: usize = 1 << 30;

/// Bytes of one file: 4 MiB. A larger one is not loaded; it becomes a diagnostic.
pub const FILE_BYTES: usize = 4 << 20;

/// Policy files of one source: 200,000. Enough for a file for each of 100,000 sites, and then as many again.
pub const FILES: usize = 200_000;

/// Entries that one walk over trees looks at: 2,000,000. A tree that names itself many times over ends here.
pub const TREE_ENTRIES: usize = 2_000_000;

/// Packs of a mirror before it is repacked: each fetch leaves one, and each costs two open files.
pub const PACKS: usize = 500;

/// Fetches that may hang at the same time before the next is refused. One that hangs holds a thread and a socket
/// until the kernel gives the connection up.
pub const STUCK_FETCHES: usize = 32;

/// Names that an error lists before it says "and N more".
pub const NAMES_IN_ERROR: usize = 10;

/// Bytes of a commit object whose signature is checked: 1 MiB. Messages are a few KiB, signatures at most 10 KiB.
pub const COMMIT_BYTES: usize = 1 << 20;

/// Bytes of a file with signers: 1 MiB, some 10,000 lines of `allowed_signers`.
pub const SIGNERS_BYTES: usize = 1 << 20;

/// Commits that an offline command walks back to find what a core would hold: 1,000, a few milliseconds each.
pub const PAST_COMMITS: usize = 1_000;
