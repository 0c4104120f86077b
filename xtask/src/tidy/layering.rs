//! Dependencies point one way: which member may use which, and what some may never use.
//!
//! The table is the one of ARCHITECTURE.md. Tests (`dev-dependencies`) are free.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, Package};

use super::tree::Tree;
use super::violation::Violation;
use crate::workspace::Workspace;

/// Each member and the members that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("skerry-core", &[]),
    ("skerry-crds", &["skerry-core"]),
    ("skerry-gitops", &["skerry-core", "skerry-crds"]),
    ("skerry-identity", &["skerry-core"]),
    ("skerry-proto", &["skerry-core"]),
    ("skerry-xds", &["skerry-core"]),
    (
        "skerry-controller",
        &["skerry-core", "skerry-crds", "skerry-gitops", "skerry-identity", "skerry-proto", "skerry-xds"],
    ),
    ("skerry-agent", &["skerry-core", "skerry-crds", "skerry-identity", "skerry-proto", "skerry-xds"]),
    (
        "skerry",
        &["skerry-core", "skerry-crds", "skerry-gitops", "skerry-identity", "skerry-proto", "skerry-xds"],
    ),
    (
        "skerry-tests",
        &[
            "skerry",
            "skerry-agent",
            "skerry-controller",
            "skerry-core",
            "skerry-crds",
            "skerry-gitops",
            "skerry-identity",
            "skerry-proto",
            "skerry-xds",
        ],
    ),
    ("skerry-fuzz-bodies", &["skerry-core", "skerry-crds", "skerry-identity", "skerry-proto"]),
    ("xtask", &[]),
];

/// Members and the packages that they must not name: the pure core has no IO, clock or randomness, and identity draws its
/// randomness from the crypto provider alone.
const NEVER_DIRECTLY: &[(&str, &[&str])] = &[
    ("skerry-core", &["tokio", "kube", "tonic", "git2", "rand"]),
    ("skerry-identity", &["tokio", "kube", "tonic", "git2", "rand", "fs-err"]),
];

/// Members and the packages that must not come in by any way: the agent is small, and there is one crypto provider, to
/// whoever uses `skerry-identity` and in `skerry-tests`, which uses everything.
const NEVER_AT_ALL: &[(&str, &[&str])] = &[
    ("skerry-agent", &["kube-client", "git2"]),
    ("skerry-identity", &["ring"]),
    ("skerry-tests", &["ring"]),
];

/// Who depends on whom, tests left out.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    members: BTreeMap<String, Member>,
}

#[derive(Debug, Default)]
struct Member {
    /// Its `Cargo.toml`, below the root.
    manifest: String,
    direct: BTreeSet<String>,
    /// Filled for the members of `NEVER_AT_ALL`.
    transitive: BTreeSet<String>,
}

impl Graph {
    /// Asks cargo.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut graph = Self::default();
        for package in workspace.members() {
            let mut member = read_member(workspace, package);
            if NEVER_AT_ALL.iter().any(|(name, _)| *name == package.name.as_str()) {
                member.transitive = transitive(workspace, &package.name)?;
            }
            graph.members.insert(package.name.to_string(), member);
        }
        Ok(graph)
    }
}

fn read_member(workspace: &Workspace, package: &Package) -> Member {
    let manifest = package.manifest_path.strip_prefix(&workspace.root).unwrap_or(&package.manifest_path);
    let used =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    Member {
        manifest: manifest.to_string(),
        direct: used.map(|dependency| dependency.name.clone()).collect(),
        transitive: BTreeSet::new(),
    }
}

/// Lists all packages of a member built alone. `cargo tree` and not `cargo metadata`: the latter
/// joins the features of all members, and other members may use what this one must not.
fn transitive(workspace: &Workspace, member: &str) -> Result<BTreeSet<String>> {
    let mut cargo = workspace.command("cargo");
    cargo.args([
        "tree",
        "--package",
        member,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let output = cargo.output().context("cannot start `cargo tree`")?;
    if !output.status.success() {
        bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Lists the edges that no table allows.
pub(crate) fn check(tree: &Tree, graph: &Graph) -> Vec<Violation> {
    graph.members.iter().flat_map(|(name, member)| check_member(tree, graph, name, member)).collect()
}

fn check_member(tree: &Tree, graph: &Graph, name: &str, member: &Member) -> Vec<Violation> {
    let Some(allowed) = row(MAY_USE, name) else {
        let help = "add it to ARCHITECTURE.md and to MAY_USE in xtask/src/tidy/layering.rs";
        return vec![Violation::error(
            &member.manifest,
            1,
            format!("`{name}` has no row in the table"),
            help,
        )];
    };
    let members = member.direct.iter().filter(|used| graph.members.contains_key(*used));
    let upward = members.filter(|used| !allowed.contains(&used.as_str()));
    let banned = banned(NEVER_DIRECTLY, name, &member.direct);
    let brought = banned_at_all(name, member);
    let direct = upward.map(String::as_str).chain(banned).map(|used| {
        let message = format!("`{name}` must not use `{used}`");
        let help = "dependencies point one way, see ARCHITECTURE.md; move the code to the crate that may";
        Violation::error(&member.manifest, line_of(tree, &member.manifest, used), message, help)
    });
    direct.chain(brought).collect()
}

fn banned_at_all(name: &str, member: &Member) -> Vec<Violation> {
    banned(NEVER_AT_ALL, name, &member.transitive)
        .map(|used| {
            let message = format!("`{name}` must not come to depend on `{used}`");
            let help =
                "`cargo tree --package MEMBER --edges normal --invert PACKAGE` shows by which way it does";
            Violation::error(&member.manifest, 1, message, help)
        })
        .collect()
}

fn banned<'a>(table: &Table, name: &str, used: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
    let never = row(table, name).unwrap_or_default();
    used.iter().map(String::as_str).filter(move |used| never.contains(used))
}

type Table = [(&'static str, &'static [&'static str])];

fn row(table: &Table, name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(member, _)| *member == name).map(|(_, others)| *others)
}

/// The line of the manifest that names the dependency; 1 if none does (it may be renamed).
fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    let text = tree.text(manifest).unwrap_or_default();
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(members: &[(&str, &[&str], &[&str])]) -> Vec<String> {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        let member = |(name, direct, transitive): &(&str, &[&str], &[&str])| {
            let manifest = format!("{name}/Cargo.toml");
            ((*name).to_owned(), Member { manifest, direct: names(direct), transitive: names(transitive) })
        };
        let graph = Graph { members: members.iter().map(member).collect() };
        let tree = Tree::of(&[(
            "skerry-core/Cargo.toml",
            "[dependencies]\nserde = \"1\"\ntokio.workspace = true\n",
        )]);
        let short = |violation: &Violation| violation.to_string().split(" (help").next().unwrap().to_owned();
        check(&tree, &graph).iter().map(short).collect()
    }

    #[test]
    fn edges_of_the_table_are_quiet() {
        let members: &[(&str, &[&str], &[&str])] = &[
            ("skerry-agent", &["skerry-core", "skerry-xds", "tokio"], &["tokio", "kube-core"]),
            ("skerry-core", &["serde"], &[]),
            ("skerry-xds", &["skerry-core", "envoy-types"], &[]),
        ];
        assert_eq!(found(members), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_and_io_in_the_core_are_found() {
        let members: &[(&str, &[&str], &[&str])] =
            &[("skerry-core", &["skerry-xds", "tokio"], &[]), ("skerry-xds", &[], &[])];
        let expected = [
            "skerry-core/Cargo.toml:1: `skerry-core` must not use `skerry-xds`",
            "skerry-core/Cargo.toml:3: `skerry-core` must not use `tokio`",
        ];
        assert_eq!(found(members), expected);
    }

    #[test]
    fn what_comes_in_by_another_crate_is_found_at_the_agent() {
        let expected = ["skerry-agent/Cargo.toml:1: `skerry-agent` must not come to depend on `kube-client`"];
        assert_eq!(found(&[("skerry-agent", &[], &["kube-client", "kube-core"])]), expected);
    }

    #[test]
    fn a_new_member_needs_a_row() {
        assert_eq!(
            found(&[("skerry-new", &[], &[])]),
            ["skerry-new/Cargo.toml:1: `skerry-new` has no row in the table"]
        );
    }
}
