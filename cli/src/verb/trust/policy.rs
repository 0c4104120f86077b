//! `skerry trust policy`: shows the policy keys of the trust root, or makes its next version with others.
//!
//! The next version is signed here, by the keys themselves: those that are in it, so that nobody shuts a fleet out with a key
//! that nobody has, and those that were in the one before, without whom no site believes it.

use std::path::PathBuf;

use skerry_identity::envelope::KeyId;
use skerry_identity::key::{SigningKey, VerifyingKey};
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot};

use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::key_file;
use crate::outcome::Outcome;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  skerry trust policy                                              # what is in force
  skerry trust policy --key policy.key                             # the first policy key
  skerry trust policy --key new.key --old-key policy.key           # another in its place
  skerry trust policy --key a.key --key b.key --public-key c.pub --threshold 2 --old-key policy.key
  skerry trust policy --drop --old-key policy.key                  # the core alone is believed again

Linked sites hear of the new version at once and take it, others when they are back.";

/// Show or change whose policy signatures sites ask for
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// A policy key of the new version; it signs the new version
    #[arg(long, value_name = "FILE", conflicts_with = "drop")]
    pub key: Vec<PathBuf>,
    /// A policy key of the new version whose private half is elsewhere
    #[arg(long, value_name = "FILE", requires = "key")]
    pub public_key: Vec<PathBuf>,
    /// A policy key of the version in force that is not in the new one; it signs the new version
    #[arg(long, value_name = "FILE")]
    pub old_key: Vec<PathBuf>,
    /// How many of the keys have to sign
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub threshold: u8,
    /// Sites may run what no policy key has signed, save for those that are told to ask for it themselves
    #[arg(long, conflicts_with = "drop")]
    pub optional: bool,
    /// Take all policy keys away
    #[arg(long)]
    pub drop: bool,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let (keys, old) = (read_all(&args.key)?, read_all(&args.old_key)?);
    let public = args.public_key.iter().map(|path| key_file::read_public(path));
    let public = public.collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() && !args.drop && (!old.is_empty() || args.optional) {
        return Err(CliError::new(ErrorKind::Usage, "no key is named for the new version")
            .hint("name it with `--key`, or take all of them away with `--drop`"));
    }
    let mut core = args.core.connect()?;
    let in_force = read_root(&core.trust_root()?)?;
    if keys.is_empty() && !args.drop {
        output.result(&render(&in_force))?;
        return Ok(Outcome::Done);
    }
    let policy = (!args.drop).then(|| {
        let own = keys.iter().map(SigningKey::public);
        Role::new(args.threshold, own.chain(public))
    });
    let by: Vec<&SigningKey> = keys.iter().chain(&old).collect();
    let signed = next(&in_force, policy, args.optional, &by)?;
    let signed = serde_json::to_string(&signed).map_err(|error| CliError::internal(error.to_string()))?;
    let in_force = read_root(&core.set_policy_keys(signed)?)?;
    if args.drop {
        output.note(
            "sites that run with --require-policy-signature take nothing new until they run without it; one that was enrolled with \
             --policy-key is enrolled anew\n",
        );
    }
    output.result(&render(&in_force))?;
    Ok(Outcome::Done)
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<SigningKey>, CliError> {
    paths.iter().map(|path| key_file::read_private(path)).collect()
}

/// Makes the next version, signed by these keys.
fn next(
    in_force: &TrustRoot,
    policy: Option<Role>,
    optional: bool,
    by: &[&SigningKey],
) -> Result<SignedRoot, CliError> {
    let (version, require_policy) = (in_force.version.saturating_add(1), policy.is_some() && !optional);
    for (name, role) in [("present", &in_force.policy), ("new", &policy)] {
        let Some(role) = role else { continue };
        let signs = |key: &&VerifyingKey| by.iter().any(|one| one.public() == **key);
        let signing = role.keys.iter().filter(signs).count();
        if signing < usize::from(role.threshold) {
            let message = format!("{signing} of the {name} policy keys sign, and {} have to", role.threshold);
            return Err(CliError::new(ErrorKind::Usage, message)
                .hint("name keys that stay or come with `--key`, and those that go with `--old-key`"));
        }
    }
    let root = TrustRoot { version, policy, require_policy, ..in_force.clone() };
    let malformed =
        |error: skerry_identity::malformed::Malformed| CliError::new(ErrorKind::Usage, error.to_string());
    let mut signed = SignedRoot::new(&root).map_err(malformed)?;
    for key in by {
        signed.sign(key).map_err(|error| CliError::internal(error.to_string()))?;
    }
    Ok(signed)
}

fn read_root(text: &str) -> Result<TrustRoot, CliError> {
    let strange = |error: &dyn std::fmt::Display| {
        CliError::new(ErrorKind::Refused, format!("the core's trust root cannot be read: {error}"))
    };
    let signed: SignedRoot = serde_json::from_str(text).map_err(|error| strange(&error))?;
    signed.root().map_err(|error| strange(&error))
}

fn render(root: &TrustRoot) -> String {
    let Some(role) = &root.policy else {
        return format!("trust root {} has no policy keys: the core alone is believed\n", root.version);
    };
    let needed = if root.require_policy { "nothing runs without" } else { "not required" };
    let keys: Vec<String> = role.keys.iter().map(|key: &VerifyingKey| KeyId::of(key).to_string()).collect();
    format!(
        "trust root {}: {} of {} policy keys sign, {needed}: {}\n",
        root.version,
        role.threshold,
        role.keys.len(),
        keys.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use skerry_identity::spiffe_id::MeshDomain;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }

    fn root(policy: Option<Role>) -> TrustRoot {
        let mesh = MeshDomain::new("mesh.local").unwrap();
        let require_policy = policy.is_some();
        TrustRoot {
            mesh,
            version: 4,
            expires: 9,
            core: Role::new(1, [key().public()]),
            policy,
            require_policy,
        }
    }

    fn role(threshold: u8, keys: &[&SigningKey]) -> Role {
        Role::new(threshold, keys.iter().map(|key| key.public()))
    }

    #[test]
    fn the_next_version_is_signed_by_those_who_come_and_those_who_go() {
        let (a, b) = (key(), key());
        let first = next(&root(None), Some(role(1, &[&a])), false, &[&a]).unwrap().root().unwrap();
        assert_eq!((first.version, first.require_policy), (5, true));
        assert!(
            next(&root(None), Some(role(1, &[&a])), true, &[&a]).unwrap().root().unwrap().policy.is_some()
        );
        let held = root(Some(role(1, &[&a])));
        assert!(next(&held, Some(role(1, &[&b])), false, &[&b, &a]).is_ok());
        assert!(next(&held, None, false, &[&a]).is_ok());
        let cases = [
            (
                next(&held, Some(role(1, &[&b])), false, &[&b]),
                "0 of the present policy keys sign, and 1 have to",
            ),
            (next(&held, None, false, &[]), "0 of the present policy keys sign, and 1 have to"),
            (
                next(&held, Some(role(2, &[&a, &b])), false, &[&a]),
                "1 of the new policy keys sign, and 2 have to",
            ),
            (
                next(&root(None), Some(role(2, &[&a])), false, &[&a, &a]),
                "1 of the new policy keys sign, and 2 have to",
            ),
        ];
        for (found, message) in cases {
            let found = found.unwrap_err().message;
            assert!(found.contains(message), "{message}: {found}");
        }
    }
}
