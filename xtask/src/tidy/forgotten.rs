//! Rust files that no `mod` declares: cargo never compiles them, so their tests never run.

use std::collections::BTreeSet;

use super::tree::{Tree, follow};
use super::violation::Violation;
use crate::workspace::Workspace;

/// The folders of a crate in which every file has to be reached.
const FOLDERS: &[&str] = &["src", "tests", "benches", "examples"];

/// The root files of all targets of all members, below the workspace's root.
pub(crate) fn target_roots(workspace: &Workspace) -> BTreeSet<String> {
    let members = workspace.members();
    let targets = members.iter().flat_map(|package| &package.targets);
    targets
        .filter_map(|target| target.src_path.strip_prefix(&workspace.root).ok())
        .map(ToString::to_string)
        .collect()
}

/// Lists the files of the crates that cannot be reached from a target's root.
pub(crate) fn check(tree: &Tree, roots: &BTreeSet<String>) -> Vec<Violation> {
    let reached = reach(tree, roots);
    let folders: Vec<String> = tree
        .files()
        .filter_map(|(path, _)| path.strip_suffix("Cargo.toml"))
        .flat_map(|package| FOLDERS.iter().map(move |folder| format!("{package}{folder}/")))
        .collect();
    tree.files()
        .map(|(path, _)| path)
        .filter(|path| path.ends_with(".rs") && folders.iter().any(|folder| path.starts_with(folder)))
        .filter(|path| !reached.contains(*path))
        .map(violation)
        .collect()
}

fn violation(path: &str) -> Violation {
    let help = "declare it with `mod` in the file above it, or delete it";
    Violation::error(path, 1, "no `mod` declares this file, so it is never compiled", help)
}

/// Follows the declarations from the roots.
fn reach(tree: &Tree, roots: &BTreeSet<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<(String, Place)> = roots.iter().map(|root| (root.clone(), Place::Root)).collect();
    while let Some((path, place)) = open.pop() {
        let Some(text) = tree.text(&path) else { continue };
        if reached.insert(path.clone()) {
            open.extend(declared(tree, &path, place, text));
        }
    }
    reached
}

/// Where the modules that a file declares are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Beside the file: the root of a target, or the target of `#[path]`.
    Root,
    /// In the folder of the file's name.
    Module,
}

fn declared(tree: &Tree, path: &str, place: Place, text: &str) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    let mut explicit = None;
    let mut inline = Inline::default();
    for line in text.lines() {
        inline.enter_or_leave(line);
        let line = line.trim();
        if let Some(target) = between(line, "#[path = \"", "\"]") {
            explicit = follow(path, &format!("{}{target}", inline.base_of_paths(path, place)));
        } else if let Some(target) = between(line, "include!(\"", "\")") {
            found.extend(follow(path, target).map(|file| (file, Place::Root)));
        } else if let Some(name) = declared_name(line, ";") {
            let file = explicit.take().map(|file| (file, Place::Root));
            found.extend(file.or_else(|| file_of(tree, path, &inline.base(path, place), name)));
        }
    }
    found
}

/// The modules with a body that are open at a line; rustfmt puts their end under their beginning.
#[derive(Debug, Default)]
struct Inline {
    /// Indentation and name.
    open: Vec<(usize, String)>,
}

impl Inline {
    fn enter_or_leave(&mut self, line: &str) {
        let trimmed = line.trim();
        let indentation = line.len() - line.trim_start().len();
        if let Some(name) = declared_name(trimmed, "{") {
            if !trimmed.ends_with('}') {
                self.open.push((indentation, name.to_owned()));
            }
        } else if trimmed == "}" && self.open.last().is_some_and(|(open, _)| *open == indentation) {
            self.open.pop();
        }
    }

    /// Where declared modules are, below the file's folder: `""`, or ending in `/`.
    fn base(&self, path: &str, place: Place) -> String {
        let stem = match place {
            Place::Root => None,
            Place::Module => path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")),
        };
        let names = stem.into_iter().chain(self.open.iter().map(|(_, name)| name.as_str()));
        names.map(|name| format!("{name}/")).collect()
    }

    /// What `#[path]` is relative to: the file's folder, but inside a module with a body that module's.
    fn base_of_paths(&self, path: &str, place: Place) -> String {
        if self.open.is_empty() { String::new() } else { self.base(path, place) }
    }
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

/// Takes `x` out of `mod x;`, `pub mod x;`, `pub(crate) mod x;`, or of `mod x {` if that is the end.
fn declared_name<'a>(line: &'a str, end: &str) -> Option<&'a str> {
    let (before, rest) = line.split_once("mod ")?;
    let visible = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    let name = rest.split_once(end)?.0.trim_end();
    let name = name.strip_prefix("r#").unwrap_or(name);
    let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (visible && is_name).then_some(name)
}

fn file_of(tree: &Tree, path: &str, base: &str, name: &str) -> Option<(String, Place)> {
    let file = follow(path, &format!("{base}{name}.rs"))?;
    if tree.text(&file).is_some() {
        return Some((file, Place::Module));
    }
    // `names` refuses it; here it is only not forgotten.
    follow(path, &format!("{base}{name}/mod.rs")).map(|file| (file, Place::Root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(files: &[(&str, &str)], roots: &[&str]) -> Vec<String> {
        let roots = roots.iter().map(|root| (*root).to_owned()).collect();
        check(&Tree::of(files), &roots).into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn declared_files_are_reached_at_any_depth() {
        let files = [
            ("core/Cargo.toml", ""),
            ("core/src/lib.rs", "pub mod a;\npub(crate) mod b;\nmod c {\n}\n"),
            ("core/src/a.rs", "#[cfg(test)]\nmod deep;\n"),
            ("core/src/a/deep.rs", ""),
            ("core/src/b.rs", "#[path = \"elsewhere.rs\"]\nmod x;\n"),
            ("core/src/elsewhere.rs", "include!(\"gen/made.rs\");\n"),
            ("core/src/gen/made.rs", "// @generated\n"),
            ("core/tests/it/main.rs", "mod case;\n"),
            ("core/tests/it/case.rs", ""),
        ];
        assert_eq!(forgotten(&files, &["core/src/lib.rs", "core/tests/it/main.rs"]), Vec::<String>::new());
    }

    #[test]
    fn modules_with_a_body_are_folders() {
        let files = [
            ("core/Cargo.toml", ""),
            (
                "core/src/lib.rs",
                "mod a;\npub mod r#gen {\n    #[path = \"x.v1.rs\"]\n    pub mod v1;\n}\nmod after;\n",
            ),
            ("core/src/gen/x.v1.rs", "// @generated\n"),
            ("core/src/after.rs", ""),
            ("core/src/a.rs", "mod b {\n    mod c;\n    fn f() {\n    }\n    mod d;\n}\n"),
            ("core/src/a/b/c.rs", ""),
            ("core/src/a/b/d.rs", ""),
        ];
        assert_eq!(forgotten(&files, &["core/src/lib.rs"]), Vec::<String>::new());
    }

    #[test]
    fn files_that_nobody_declares_are_found() {
        let files = [
            ("core/Cargo.toml", ""),
            ("core/src/lib.rs", "// mod commented_out;\nmod a;\n"),
            ("core/src/a.rs", "mod a_too;\n"),
            ("core/src/a_too.rs", ""),
            ("core/src/commented_out.rs", ""),
            ("core/tests/it/main.rs", ""),
            ("core/tests/it/lost.rs", ""),
            ("docs/snippet.rs", ""),
        ];
        let lost = ["core/src/a_too.rs", "core/src/commented_out.rs", "core/tests/it/lost.rs"];
        assert_eq!(forgotten(&files, &["core/src/lib.rs", "core/tests/it/main.rs"]), lost);
    }
}
