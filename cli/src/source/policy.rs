//! A source, read and compiled: what every offline verb works on.

use std::sync::Arc;

use skerry_core::bundle::Contents;
use skerry_core::diagnostic::{Diagnostics, has_errors};
use skerry_core::id::SiteId;
use skerry_core::index::{Change, Compiled, Index};
use skerry_core::world::ServiceIndexes;

use super::Loaded;
use crate::args::source::RevisionArgs;
use crate::error::{CliError, ErrorKind};
use crate::nearest;
use crate::outcome::Outcome;
use crate::output::progress::Progress;

/// A source, read and compiled.
#[derive(Debug)]
pub struct Policy {
    /// What was read.
    pub loaded: Loaded,
    /// The index, for questions.
    pub index: Index,
    /// What each site runs.
    pub compiled: Arc<Compiled>,
    /// All that is wrong: documents, and the policy as a whole.
    pub diagnostics: Diagnostics,
}

/// A site that was asked for.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its name.
    pub site: SiteId,
    /// What it runs.
    pub contents: Arc<Contents>,
    /// Whether the policy declares it; if not, the policy declares none at all.
    pub is_declared: bool,
}

impl Policy {
    /// Reads a source and compiles it.
    pub fn read(args: &RevisionArgs, progress: Progress) -> Result<Self, CliError> {
        let loaded = progress.during("reading policies", || Loaded::read(args))?;
        Ok(progress.during("compiling policies", || Self::compile(loaded, ServiceIndexes::default())))
    }

    /// Reads a source as a core has it in force that followed its history, and compiles it.
    pub fn read_followed(args: &RevisionArgs, progress: Progress) -> Result<Self, CliError> {
        let loaded = progress.during("reading policies", || Loaded::read_followed(args))?;
        Ok(progress.during("compiling policies", || Self::compile(loaded, ServiceIndexes::default())))
    }

    /// Compiles what was read. `indexes` are those that services have already.
    pub fn compile(loaded: Loaded, indexes: ServiceIndexes) -> Self {
        let mut index = Index::new(skerry_crds::decode, indexes);
        for aged in loaded.world.objects.values() {
            index.apply(Change::Upsert(Arc::clone(&aged.object), aged.age));
        }
        let compiled = index.compile();
        let diagnostics = loaded.diagnostics.union(&compiled.diagnostics).cloned().collect();
        Self { loaded, index, compiled, diagnostics }
    }

    /// Says whether the policy has errors, as an outcome.
    pub fn outcome(&self) -> Outcome {
        Outcome::of_errors(has_errors(&self.diagnostics))
    }

    /// Finds a site. Where the policy declares none, every name stands for a site without labels.
    pub fn choose(&self, name: &str) -> Result<Chosen, CliError> {
        let site = SiteId::new(name).map_err(|error| CliError::new(ErrorKind::Usage, error.to_string()))?;
        if let Some(contents) = self.compiled.contents(&site) {
            return Ok(Chosen { contents: Arc::clone(contents), site, is_declared: true });
        }
        if self.compiled.class(&site).is_some() {
            return Err(unverified(&format!("site `{name}`")));
        }
        let mut sites = self.compiled.sites().map(ToString::to_string).peekable();
        if sites.peek().is_some() {
            let error = CliError::new(ErrorKind::NotFound, format!("the policy declares no site `{name}`"));
            return Err(error.hint(format!("it declares {}", nearest::list(name, sites))));
        }
        let contents = self.compiled.base().ok_or_else(|| unverified("a site without labels"))?;
        Ok(Chosen { contents: Arc::clone(contents), site, is_declared: false })
    }
}

/// A core goes on with the last good version; a command has none.
fn unverified(site: &str) -> CliError {
    let message = format!("what is compiled for {site} does not pass verification, so nobody would run it");
    CliError::new(ErrorKind::Policy, message).hint("`skerry validate` says why")
}
