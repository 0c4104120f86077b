//! `skerry-crds-gen OUTDIR`: writes the CRDs and the reference of the kinds below a folder.
//!
//! Run by `cargo xtask codegen`; everything that it writes is made by `skerry_crds::generate`.

use std::path::Path;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a developer's tool talks to the terminal")]
fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: skerry-crds-gen OUTDIR");
        return ExitCode::from(2);
    };
    match write_files(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_files(folder: &Path) -> Result<(), String> {
    for (name, content) in skerry_crds::generate::files() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
