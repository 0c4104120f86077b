//! Whether a site may run a manifest: the function that decides it, held against its rules as they are written down.

use prost::Message as _;
use skerry_core::accept::{Floor, Terms, Verdict, accept, farthest_epoch};
use skerry_core::bundle::{MAX_MANIFEST_BYTES, SCHEMA, v1};
use skerry_core::id::{Digest, SiteId, Timestamp};

use crate::Reach;

/// The site that is asked.
pub const SITE: &str = "oslo";

/// What stands before the manifest: three numbers, and what the site has run.
const HEAD: usize = 25;

/// What the site has run at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// Nothing.
    Nothing,
    /// Something else.
    Other,
    /// This very manifest.
    This,
}

/// Writes an input.
pub fn to_bytes(floor: (u64, u64), now_ms: u64, ran: Ran, manifest: &[u8]) -> Vec<u8> {
    let numbers = [floor.0, floor.1, now_ms].map(u64::to_be_bytes).concat();
    [&numbers, &[ran as u8][..], manifest].concat()
}

/// Decides, and checks the decision. Taken if the manifest is newer than what runs.
pub fn body(bytes: &[u8]) -> Reach {
    let Some((head, manifest)) = bytes.split_first_chunk::<HEAD>() else { return Reach::Refused };
    let (numbers, _) = head.as_chunks::<8>();
    let [epoch, generation, now] = [0, 1, 2].map(|at: usize| u64::from_be_bytes(numbers[at]));
    let digest = Digest::of(manifest);
    let floor = match head[HEAD - 1] % 3 {
        0 => None,
        1 => Some(Floor { epoch, generation, manifest: Digest::of(b"something else") }),
        _ => Some(Floor { epoch, generation, manifest: digest }),
    };
    let site: SiteId = SITE.parse().expect("it is a name");
    let verdict = accept(manifest, &Terms { site: &site, floor, now: Timestamp(now) });
    let expected = expect(manifest, floor, Timestamp(now));
    match &verdict {
        Ok(Verdict::Newer(accepted)) => {
            assert_eq!(accepted.digest, digest);
            assert_eq!(Ok(&accepted.manifest), v1::Manifest::decode(manifest).as_ref());
            assert_eq!(expected, Some(Expected::Newer));
        }
        Ok(Verdict::Same) => assert_eq!(expected, Some(Expected::Same)),
        Err(refusal) => {
            assert_eq!(expected, None, "{refusal}");
            assert!(!refusal.to_string().is_empty());
        }
    }
    Reach::of(matches!(verdict, Ok(Verdict::Newer(_))))
}

/// What is not refused.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// It runs.
    Same,
    /// It may run.
    Newer,
}

/// The rules, once more and in another form.
fn expect(bytes: &[u8], floor: Option<Floor>, now: Timestamp) -> Option<Expected> {
    let manifest = v1::Manifest::decode(bytes).ok().filter(|_| bytes.len() <= MAX_MANIFEST_BYTES)?;
    if manifest.site != SITE {
        return None;
    }
    if floor.is_some_and(|floor| floor.manifest == Digest::of(bytes)) {
        return Some(Expected::Same);
    }
    let is_above = |floor: Floor| {
        manifest.epoch > floor.epoch
            || manifest.epoch == floor.epoch && manifest.generation > floor.generation
    };
    let rules = [
        floor.is_none_or(is_above),
        manifest.epoch <= farthest_epoch(now),
        (1..=SCHEMA).contains(&manifest.schema),
        manifest.accept_until_ms == 0 || now.0 <= manifest.accept_until_ms,
    ];
    rules.iter().all(|rule| *rule).then_some(Expected::Newer)
}
