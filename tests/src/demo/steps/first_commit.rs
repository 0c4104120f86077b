//! Step: the first commit of an empty repository reaches all sites.

use anyhow::Result;

use super::short;
use crate::demo::narrator::Shown;
use crate::demo::stage::{SITES, Stage};

/// The repository's first state, as it was when this program was built.
const FILES: [(&str, &str); 7] = [
    ("mesh.yaml", include_str!("../../../../examples/three-sites/mesh.yaml")),
    ("sites/oslo.yaml", include_str!("../../../../examples/three-sites/sites/oslo.yaml")),
    ("sites/bergen.yaml", include_str!("../../../../examples/three-sites/sites/bergen.yaml")),
    ("sites/tromso.yaml", include_str!("../../../../examples/three-sites/sites/tromso.yaml")),
    ("shop/services.yaml", include_str!("../../../../examples/three-sites/shop/services.yaml")),
    ("shop/checkout-route.yaml", include_str!("../../../../examples/three-sites/shop/checkout-route.yaml")),
    ("shop/checkout-policy.yaml", include_str!("../../../../examples/three-sites/shop/checkout-policy.yaml")),
];

pub(super) async fn show(stage: &mut Stage) -> Result<Shown> {
    for (path, content) in FILES {
        stage.repo.write(path, content)?;
    }
    let revision = stage.publish("shop: the first policy").await?;
    stage.wait_for_release("first", &SITES).await?;
    Ok(Shown::new(format!("the first commit, {}, is served at all three sites", short(&revision))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(files(&path)),
                false => drop(found.insert(path)),
            }
        }
        found
    }

    #[test]
    fn the_example_and_the_demo_hold_the_same_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/three-sites");
        let known: BTreeSet<_> =
            FILES.iter().map(|(path, _)| folder.join(path)).chain([folder.join("README.md")]).collect();
        assert_eq!(files(&folder), known);
    }
}
