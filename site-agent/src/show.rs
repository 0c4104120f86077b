//! `skerry-agent show`: what a data folder holds, for a technician at the box.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use prost::Message as _;
use serde_json::{Value, json};
use skerry_core::bundle::v1::{Manifest, SignatureCheck};
use skerry_core::id::Timestamp;
use skerry_identity::envelope::KeyId;
use skerry_identity::trust_root::Role;

use crate::args::{Output, ShowArgs};
use crate::enrolment::Enrolment;
use crate::launcher::{LauncherState, holder};
use crate::layout::{Layout, ProxyDir};
use crate::store::{Slot, Store, StoreError};

/// Runs the verb.
pub(crate) fn main(args: &ShowArgs) -> ExitCode {
    let outcome = collect(&Layout::new(&args.data_dir)).and_then(|view| {
        let text = match args.output {
            Output::Json => format!("{view:#}\n"),
            Output::Text => to_text(&view),
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gathers everything; the store is read when no agent runs, else what the agent last wrote.
fn collect(layout: &Layout) -> anyhow::Result<Value> {
    check(layout)?;
    let (enrolment, identity) = identity(layout);
    let mut view = match (Store::open_existing(&layout.store()), &enrolment) {
        (Ok(store), _) => of_store(&store)?,
        (Err(StoreError::InUse(_)), _) => json!({ "agent": "running" }),
        (Err(_), Some(enrolment)) if !layout.store().exists() => {
            json!({ "agent": "enrolled, and has not run yet", "site": enrolment.site().to_string() })
        }
        (Err(error @ StoreError::Damaged(..)), _) => {
            let help = "an agent that starts begins anew: what it runs is fetched again";
            let identity = identity.as_str().unwrap_or_default();
            return Err(anyhow::anyhow!("{error}; identity: {identity} (help: {help})"));
        }
        (Err(error), _) => return Err(error.into()),
    };
    let status =
        fs_err::read(layout.status()).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    view["lastState"] = status.unwrap_or(Value::Null);
    view["proxies"] = proxies(&layout.proxies());
    view["identity"] = identity;
    view["trustRoot"] = enrolment.as_ref().map_or(Value::Null, trust_root);
    Ok(view)
}

/// Says what is wrong with a folder that is no agent's.
fn check(layout: &Layout) -> anyhow::Result<()> {
    let folder = layout.root();
    let wrong = |why: &str, help: &str| Err(anyhow::anyhow!("{}: {why} (help: {help})", folder.display()));
    let name_it = "name the `--data-dir` of the agent";
    match fs_err::read_dir(folder).map_err(|error| error.kind()) {
        Err(ErrorKind::NotFound) => wrong("there is no such folder", name_it),
        Err(ErrorKind::NotADirectory) => wrong("it is no folder", name_it),
        Err(ErrorKind::PermissionDenied) => wrong("you may not read it", "be the user of the agent, or root"),
        Err(error) => wrong(&error.to_string(), name_it),
        Ok(_) if folder.join("identity.redb").exists() => {
            wrong("it is the folder of a core", "`skerry status` asks a core")
        }
        Ok(_)
            if [layout.store(), layout.enrolment(), layout.enrolment_copy()]
                .iter()
                .any(|file| file.exists()) =>
        {
            Ok(())
        }
        Ok(_) if layout.pending_keys().exists() => wrong(
            "the box is not enrolled yet",
            "`skerry-agent enroll` goes on with the keys that it has made",
        ),
        Ok(_) => wrong("there is nothing of an agent", name_it),
    }
}

/// What the box is known by, and whether the files that hold it are good.
fn identity(layout: &Layout) -> (Option<Enrolment>, Value) {
    let own = Enrolment::load(&layout.enrolment());
    if let Ok(Some(own)) = own {
        return (Some(own), json!("good"));
    }
    let copy = Enrolment::load(&layout.enrolment_copy());
    let why = own.err().map_or_else(|| "identity.json is lost".to_owned(), |error| error.to_string());
    match copy {
        Ok(Some(copy)) => (Some(copy), json!(format!("{why}; its copy is good, and is what an agent takes"))),
        Ok(None) if !layout.enrolment().exists() => (None, json!("none: the box is not enrolled")),
        _ => {
            let help =
                "enrol it anew: `skerry site enroll SITE --replace`, then `skerry-agent enroll --replace`";
            (None, json!(format!("{why}; so is its copy (help: {help})")))
        }
    }
}

/// Whose signatures the site believes.
fn trust_root(enrolment: &Enrolment) -> Value {
    let root = enrolment.trust_root.root();
    let ids = |role: &Role| role.keys.iter().map(|key| KeyId::of(key).to_string()).collect::<Vec<_>>();
    json!({
        "version": root.version,
        "coreKeys": ids(&root.core),
        "policyKeys": root.policy.as_ref().map(ids).unwrap_or_default(),
        "requiresPolicy": root.require_policy,
    })
}

fn of_store(store: &Store) -> Result<Value, StoreError> {
    let (saved, floors, waiting) = (store.saved()?, store.floors()?, store.waiting()?);
    Ok(json!({
        "agent": "not running",
        "site": store.site()?,
        "boots": store.boots()?,
        "current": saved.current.as_ref().map(of_slot),
        "previous": saved.previous.as_ref().map(of_slot),
        "candidate": saved.candidate.as_ref().map(of_slot),
        "candidateAttempts": saved.attempts,
        "refused": saved.refused.map(|refused| json!({
            "manifest": refused.digest.to_string(), "reason": refused.reason,
        })),
        "floor": floors.floor.map(|floor| json!({
            "epoch": floor.epoch, "generation": floor.generation, "manifest": floor.manifest.to_string(),
        })),
        "trustedTimeMs": floors.trusted_ms,
        "policyNumber": store.policy_floor()?,
        "outbox": { "reports": waiting.rows, "bytes": waiting.bytes, "dropped": waiting.dropped },
    }))
}

fn of_slot(slot: &Slot) -> Value {
    let manifest = Manifest::decode(slot.manifest.as_slice()).unwrap_or_default();
    json!({
        "manifest": slot.digest().to_string(),
        "epoch": manifest.epoch,
        "generation": manifest.generation,
        "revision": manifest.revision,
        "signature": signature(&manifest),
        "fragments": slot.fragment_ids().len(),
    })
}

/// Who vouched for the revision, by the core's word.
fn signature(manifest: &Manifest) -> Value {
    match manifest.signature() {
        SignatureCheck::None => Value::Null,
        SignatureCheck::Verified => json!(format!("verified, signed by {}", manifest.signer)),
        SignatureCheck::Unsigned => json!("not signed"),
        SignatureCheck::Untrusted => json!("not trusted"),
    }
}

fn proxies(folder: &Path) -> Value {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<ProxyDir> = entries.map(|entry| ProxyDir::new(entry.path())).collect();
    folders.sort();
    folders.iter().map(of_proxy).collect()
}

fn of_proxy(folder: &ProxyDir) -> Value {
    let state = LauncherState::load(&folder.state());
    let processes = state.processes.iter().map(|process| {
        json!({ "pid": process.pid, "mode": process.mode, "epoch": process.epoch, "alive": process.is_alive() })
    });
    json!({
        "name": folder.path().file_name().map(|name| name.to_string_lossy().into_owned()),
        "launcher": holder(&folder.lock()).ok().flatten().map(|pid| pid.as_raw_nonzero().get()),
        "envoys": processes.collect::<Vec<_>>(),
        "restarts": state.restarts,
        "lastExit": state.last_exit,
        "snapshot": folder.static_bootstrap().is_file(),
    })
}

/// One `name: value` a line; nested ones are indented.
fn to_text(view: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, view, 0);
    text
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (format!("{name}:"), value)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        _ => return,
    };
    for (name, value) in entries {
        let indent = "  ".repeat(depth);
        // Programs take the number; people read a time.
        if let (Some(name), Some(ms)) = (name.strip_suffix("Ms:"), value.as_u64()) {
            let time = if ms == 0 { "none".to_owned() } else { Timestamp(ms).to_string() };
            text.push_str(&format!("{indent}{name}: {time}\n"));
            continue;
        }
        match value {
            Value::Null => text.push_str(&format!("{indent}{name} none\n")),
            Value::String(value) => text.push_str(&format!("{indent}{name} {value}\n")),
            Value::Array(items) if items.is_empty() => text.push_str(&format!("{indent}{name} none\n")),
            Value::Object(_) | Value::Array(_) => {
                text.push_str(&format!("{indent}{name}\n"));
                write_value(text, value, depth + 1);
            }
            Value::Bool(_) | Value::Number(_) => text.push_str(&format!("{indent}{name} {value}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use skerry_core::id::SiteId;

    use super::*;
    use crate::enrolment::tests::enrolment;

    #[test]
    fn shows_a_folder_with_and_without_an_agent() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.prepare().unwrap();
        let site = SiteId::new("store-1").unwrap();
        let (store, _) = Store::open(&layout.store(), &site).unwrap();
        assert_eq!(collect(&layout).unwrap()["agent"], "running");

        drop(store);
        let view = collect(&layout).unwrap();
        assert_eq!((&view["site"], &view["outbox"]["reports"]), (&json!("store-1"), &json!(0)));
        assert!(to_text(&view).contains("site: store-1\n"), "{}", to_text(&view));
        assert!(to_text(&view).contains("current: none\n"));
    }

    #[test]
    fn says_who_vouched_for_a_revision() {
        let manifest = |check: SignatureCheck| {
            signature(&Manifest {
                signature: check.into(),
                signer: "ada@example.org".to_owned(),
                ..Manifest::default()
            })
        };
        assert_eq!(manifest(SignatureCheck::None), Value::Null);
        assert_eq!(manifest(SignatureCheck::Verified), "verified, signed by ada@example.org");
        assert_eq!(manifest(SignatureCheck::Untrusted), "not trusted");
    }

    #[test]
    fn shows_a_box_that_is_enrolled_and_has_not_run_yet() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        enrolment().keep(&layout).unwrap();
        let view = collect(&layout).unwrap();
        assert_eq!(view["agent"], "enrolled, and has not run yet");
        assert_eq!(view["site"], enrolment().site().to_string());
        assert_eq!(view["trustRoot"]["version"], 1);
    }

    /// The table of folders that are none of an agent, each with what to do; looking changes nothing of them.
    #[test]
    fn a_folder_of_no_agent_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let said = |name: &str| collect(&Layout::new(folder.path().join(name))).unwrap_err().to_string();
        for (name, file, bytes, words) in [
            ("gone", None, "", "gone: there is no such folder (help: "),
            ("empty", Some("empty/other"), "", "empty: there is nothing of an agent (help: "),
            ("file/in", Some("file"), "", "in: it is no folder (help: "),
            ("core", Some("core/identity.redb"), "", "core: it is the folder of a core (help: "),
            ("waits", Some("waits/identity.pending"), "{}", "waits: the box is not enrolled yet (help: "),
            (
                "lost",
                Some("lost/state.redb"),
                "",
                "state.redb: the store is damaged: it is empty; identity: none",
            ),
            ("junk", Some("junk/state.redb"), "junk", "state.redb: the store is damaged: "),
        ] {
            let file = file.map(|file| folder.path().join(file));
            if let Some(file) = &file {
                fs_err::create_dir_all(file.parent().unwrap()).unwrap();
                fs_err::write(file, bytes).unwrap();
            }
            let said = said(name);
            assert!(said.contains(words) && said.ends_with(')'), "{name}: {said}");
            assert!(file.is_none_or(|file| fs_err::read(file).unwrap() == bytes.as_bytes()), "{name}");
        }
    }

    #[test]
    fn says_whether_what_the_box_is_known_by_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        enrolment().keep(&layout).unwrap();
        let said = || collect(&layout).unwrap()["identity"].as_str().unwrap().to_owned();
        assert_eq!(said(), "good");
        fs_err::write(layout.enrolment(), "{").unwrap();
        assert!(said().ends_with("; its copy is good, and is what an agent takes"), "{}", said());
        fs_err::write(layout.enrolment_copy(), "{").unwrap();
        drop(Store::open(&layout.store(), enrolment().site()).unwrap());
        assert!(said().contains("; so is its copy (help: enrol it anew"), "{}", said());
    }

    #[test]
    fn people_read_times_and_programs_numbers() {
        let view = json!({ "trustedTimeMs": 1_800_000_000_000_u64, "identityUntilMs": 0 });
        assert_eq!(to_text(&view), "trustedTime: 2027-01-15T08:00:00Z\nidentityUntil: none\n");
    }
}
