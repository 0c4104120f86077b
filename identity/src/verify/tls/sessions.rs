//! Sessions that clients may go on with, kept by who was asked: one for each key that has shown its certificate, the newest.
//!
//! Must not decide who a client is: that is asked anew of every session that is resumed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::StoresServerSessions;
use rustls::time_provider::TimeProvider;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::thumbprint::Thumbprint;

/// How long a session may be resumed: what rustls tells clients of those that are kept.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Sessions of at most so many keys. Strangers, of whom there may be any number, have none, and so drive none of them out.
pub(super) struct Sessions {
    most: usize,
    time: Arc<dyn TimeProvider>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By the key of who may go on with it.
    sessions: BTreeMap<Thumbprint, Session>,
    /// Whose a session is, by its name.
    owners: BTreeMap<Vec<u8>, Thumbprint>,
    /// The same by age: the oldest goes first.
    ages: BTreeMap<u64, Thumbprint>,
    /// How many there have been.
    count: u64,
}

struct Session {
    /// What the client names it by.
    id: Vec<u8>,
    age: u64,
    since: UnixTime,
    value: Zeroizing<Vec<u8>>,
}

impl Sessions {
    /// Makes room for the sessions of so many keys.
    pub(super) fn new(most: usize, time: Arc<dyn TimeProvider>) -> Arc<Self> {
        Arc::new(Self { most, time, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing is done with it that could end half-way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, owner: Thumbprint, session: Session) {
        self.remove(owner);
        self.owners.insert(session.id.clone(), owner);
        self.ages.insert(session.age, owner);
        self.sessions.insert(owner, session);
    }

    fn remove(&mut self, owner: Thumbprint) -> Option<Session> {
        let session = self.sessions.remove(&owner)?;
        self.owners.remove(&session.id);
        self.ages.remove(&session.age);
        Some(session)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, value: Vec<u8>) -> bool {
        let value = Zeroizing::new(value);
        let (Some(owner), Some(since)) = (owner(&value), self.time.current_time()) else { return false };
        let mut kept = self.kept();
        kept.count += 1;
        let age = kept.count;
        kept.put(owner, Session { id, age, since, value });
        while kept.sessions.len() > self.most {
            let Some((_, oldest)) = kept.ages.pop_first() else { break };
            kept.remove(oldest);
        }
        true
    }

    /// For TLS 1.2 alone, which is not spoken.
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let session = {
            let mut kept = self.kept();
            let owner = *kept.owners.get(id)?;
            kept.remove(owner)?
        };
        let age = self.time.current_time()?.as_secs().saturating_sub(session.since.as_secs());
        (age <= LIFE.as_secs()).then(|| session.value.to_vec())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("most", &self.most).finish_non_exhaustive()
    }
}

/// Finds the key that was shown in what rustls keeps of a session: server name, version, suite, secret, a flag, chain. `None`:
/// nothing was shown, or a server name was sent, which none of ours does. Should rustls write it otherwise one day, nothing is
/// found and no session is kept, which a test notices.
fn owner(value: &[u8]) -> Option<Thumbprint> {
    let [0, _, _, _, _, length, rest @ ..] = value else { return None };
    let [_, 1, _, _, _, a, b, c, chain @ ..] = rest.get(usize::from(*length)..)? else { return None };
    let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
    Some(Certificate::from_der(chain.get(..length)?).ok()?.thumbprint())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::ca::TransportCa;
    use crate::csr::ProvenKey;
    use crate::fixture::{lasting, site, transport};
    use crate::key::EcdsaKey;

    #[derive(Debug, Default)]
    struct Time(AtomicU64);

    impl TimeProvider for Time {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
        }
    }

    /// A session of a box as rustls writes it.
    fn of_box(authority: &TransportCa) -> Vec<u8> {
        let key = EcdsaKey::generate().unwrap();
        let leaf = authority.sign_agent(&site("oslo"), &ProvenKey::from(&key), &lasting(24)).unwrap();
        let der: &[u8] = leaf.der().as_ref();
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes()[1..].to_vec();
        let head = [0, 3, 4, 19, 1, 2, 7, 7, 0, 1];
        [&head[..], &length(der.len() + 3), &length(der.len()), der, &[0; 20]].concat()
    }

    #[test]
    fn one_is_kept_for_each_key_and_the_oldest_goes_first() {
        let (authority, sessions) = (transport(), Sessions::new(2, Arc::new(Time::default())));
        let boxes = [of_box(&authority), of_box(&authority), of_box(&authority)];
        let put = |id: u8, at: usize| sessions.put(vec![id; 32], boxes[at].clone());
        let is_there = |id: u8| sessions.take(&[id; 32]).is_some();
        assert!(boxes[0].len() < 900, "less than 1 KB with its names");
        assert!(put(0, 0) && put(1, 0) && put(2, 1));
        assert!(!is_there(0), "the box has another one");
        assert!(put(3, 2));
        assert!(!is_there(1) && is_there(2) && is_there(3));
        assert!(!is_there(2), "it is resumed once");
        let kept = sessions.kept();
        assert_eq!((kept.sessions.len(), kept.owners.len(), kept.ages.len()), (0, 0, 0));
    }

    #[test]
    fn one_ends_after_a_day() {
        let time = Arc::new(Time::default());
        let shared: Arc<dyn TimeProvider> = time.clone();
        let (authority, sessions) = (transport(), Sessions::new(2, shared));
        for (waited, is_there) in [(LIFE.as_secs(), true), (LIFE.as_secs() + 1, false)] {
            assert!(sessions.put(vec![1; 32], of_box(&authority)));
            time.0.fetch_add(waited, Ordering::Relaxed);
            assert_eq!(sessions.take(&[1; 32]).is_some(), is_there, "{waited}");
        }
    }

    /// Whatever it is: a name that was sent, no certificate, one that is none, an end too early.
    #[test]
    fn nothing_is_kept_of_who_has_shown_nothing() {
        let (whole, sessions) = (of_box(&transport()), Sessions::new(2, Arc::new(Time::default())));
        let named = [&[1, 200][..], &[b'a'; 200], &whole[1..]].concat();
        let mut no_chain = whole.clone();
        no_chain[9] = 0;
        let mut no_certificate = whole.clone();
        no_certificate[16] ^= 1;
        let cut = whole[..200].to_vec();
        for value in [named, no_chain, no_certificate, cut, Vec::new()] {
            assert!(!sessions.put(vec![1; 32], value));
        }
        assert!(sessions.put(vec![1; 32], whole));
    }
}
