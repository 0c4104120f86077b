//! One TLS and crypto provider: whatever comes into the lock file, it does not bring another one.
//!
//! OpenSSL is there, for one purpose: libgit2 fetches over https and ssh with it. It makes no connection between core and
//! agents, and nothing else may come to use it.

use super::tree::Tree;
use super::violation::Violation;

const LOCK: &str = "Cargo.lock";

/// Packages that bring a TLS or crypto provider other than aws-lc-rs. `pgp` and `ssh-key` check signatures of commits.
const OTHERS: &[&str] = &[
    "boring",
    "boring-sys",
    "graviola",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-src",
    "openssl-sys",
    "pgp",
    "ring",
    "rustls-graviola",
    "rustls-openssl",
    "ssh-key",
    "wolfssl",
];

/// Packages of [`OTHERS`] and who may use them. `rustls-webpki` names `ring` in a feature that only counts where `ring` is on
/// already; cargo puts it into the lock file for that, and never builds it (`layering` looks after that).
const EXCEPTIONS: &[(&str, &[&str])] = &[
    ("openssl-sys", &["git2", "libgit2-sys", "libssh2-sys"]),
    ("openssl-src", &["openssl-sys"]),
    ("ring", &["rustls-webpki"]),
    ("pgp", &["skerry-gitops"]),
    ("ssh-key", &["skerry-gitops"]),
];

/// Finds other providers, and other users of those that are known.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let lock = tree.files().find(|(path, _)| *path == LOCK).map_or("", |(_, text)| text);
    let packages: Vec<Package<'_>> = lock.split("[[package]]").skip(1).map(Package::read).collect();
    let found = packages.iter().filter(|package| OTHERS.contains(&package.name));
    found.flat_map(|package| check_one(package.name, &packages)).collect()
}

fn check_one(name: &str, packages: &[Package<'_>]) -> Vec<Violation> {
    let allowed =
        EXCEPTIONS.iter().find(|(exception, _)| *exception == name).map_or(&[][..], |(_, users)| users);
    let users = packages.iter().filter(|package| package.uses.contains(&name));
    let strangers = users.filter(|user| !allowed.contains(&user.name));
    let help = "use aws-lc-rs: look for the feature that brings this in, with `cargo tree --invert`";
    strangers
        .map(|user| Violation::error(LOCK, 1, format!("`{}` brings in `{name}`", user.name), help))
        .collect()
}

/// A package of the lock file.
struct Package<'a> {
    name: &'a str,
    uses: Vec<&'a str>,
}

impl<'a> Package<'a> {
    fn read(block: &'a str) -> Self {
        let name = block.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
        // A dependency is `"name"`, or `"name version"` where there are several versions.
        let uses = block.lines().filter_map(|line| line.strip_prefix(" \""));
        let uses = uses.filter_map(|line| line.trim_end_matches("\",").split(' ').next());
        Self { name: name.trim_matches('"'), uses: uses.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lock: &str) -> Vec<String> {
        check(&Tree::of(&[(LOCK, lock)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn invariant_12_another_provider_is_found_with_whoever_brings_it() {
        let lock = "[[package]]\nname = \"web\"\ndependencies = [\n \"ring 0.17.1\",\n \"openssl-sys\",\n]\n\n\
                    [[package]]\nname = \"libgit2-sys\"\ndependencies = [\n \"openssl-sys\",\n]\n\n\
                    [[package]]\nname = \"ring\"\n\n[[package]]\nname = \"openssl-sys\"\n";
        let found = messages(lock);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`web` brings in `ring`"), "{found:?}");
        assert!(found[1].contains("`web` brings in `openssl-sys`"), "{found:?}");
    }

    #[test]
    fn invariant_12_this_workspace_has_one_provider() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = fs_err::read_to_string(lock).unwrap();
        assert!(lock.contains("name = \"openssl-sys\""), "the exception is still needed");
        assert_eq!(messages(&lock), [] as [String; 0]);
    }
}
