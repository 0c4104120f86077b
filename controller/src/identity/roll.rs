//! The roll: which box is which site's, and what is decided about somebody who says so. Pure; time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::token::{Claim, TokenHash, TokenRecord, TokenRefusal};

use super::astray::{Astray, Why};
use super::desk::{Change, MAX_REVOKED};
use super::store::Kept;

/// The most refusals that are kept of a site: a box that was replaced, a thief, and two more.
const MAX_REFUSED: usize = 4;

/// The most sites whose refusals are kept: anybody may claim a name.
const MAX_REFUSED_SITES: usize = 1_000;

/// The box that is a site's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its key for the link, for as long as it is enrolled.
    pub key: Thumbprint,
    /// The key of the site's authority.
    pub authority: Thumbprint,
    /// When it was enrolled.
    pub at: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When the agent's certificate that it was given last ends.
    pub agent_until: Timestamp,
    /// When the certificate of the site's authority that it was given last ends.
    pub authority_until: Timestamp,
    /// What keeps it from getting on with this core by itself, if something does.
    #[serde(default)]
    pub astray: Option<Astray>,
}

impl Enrolled {
    /// Says whether it is thought that it does not know the link root that signs.
    pub fn is_left_behind(&self) -> bool {
        self.astray.is_some_and(|astray| astray.why == Why::LeftBehind)
    }
}

/// A join token as the core keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What the token itself says of who may use it.
    pub record: TokenRecord,
    /// The box whose place the one with this token takes.
    pub replaces: Option<Thumbprint>,
}

/// A key of a site's authority that nobody shall believe any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The key.
    pub authority: Thumbprint,
    /// When its last certificate ends: then it need not be named any more.
    pub until: Timestamp,
}

/// Why somebody is not a site's box.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The token does not count.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// Another box is.
    #[error(
        "site `{site}` is enrolled by another box (key {}): if this one takes its place, make a token with `skerry site enroll {site} --replace`",
        .enrolled.short()
    )]
    OtherBox {
        /// The site.
        site: SiteId,
        /// The key of the box that is.
        enrolled: Thumbprint,
    },
    /// It was, until it was revoked.
    #[error("site `{0}` was revoked: enrol it with a new token, `skerry site enroll {0}`")]
    Revoked(SiteId),
    /// The key of its authority is one that nobody believes any more.
    #[error("the key of this box's authority was revoked: enrol with new keys, in an empty data folder")]
    RevokedAuthority,
    /// The site is not enrolled.
    #[error("site `{0}` is not enrolled: make a token with `skerry site enroll {0}`")]
    NotEnrolled(SiteId),
}

/// Somebody who was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where they came from.
    pub peer: Option<SocketAddr>,
    /// The key that they had.
    pub key: Thumbprint,
    /// What they were told.
    pub reason: String,
    /// When they came last.
    pub at: Timestamp,
    /// How often.
    pub times: u32,
}

/// Who is enrolled, and who was refused.
#[derive(Debug, Default)]
pub struct Roll {
    sites: BTreeMap<SiteId, Enrolled>,
    tokens: BTreeMap<TokenHash, Token>,
    refused: BTreeMap<SiteId, Vec<Refused>>,
    revoked: Vec<Revoked>,
}

impl Roll {
    /// Goes on with what was kept.
    pub fn restore(kept: Kept) -> Self {
        let tokens = kept.tokens.into_iter().map(|token| (token.record.hash, token)).collect();
        Self {
            sites: kept.sites.into_iter().collect(),
            tokens,
            refused: BTreeMap::new(),
            revoked: kept.revoked,
        }
    }

    /// Judges a box that claims a site with a token, and the key of its authority. `Ok` is the token as it is then, and the box
    /// that is the site's no more: another one, or the same with another authority.
    pub fn judge_claim(
        &self,
        claim: &Claim<'_>,
        authority: Thumbprint,
        now: Timestamp,
    ) -> Result<(Token, Option<Enrolled>), Stranger> {
        let token = self.tokens.get(&TokenHash::of(claim.secret)).ok_or(TokenRefusal::Unknown)?;
        let used = token.record.judge(claim, now)?;
        let enrolled = self.sites.get(claim.site);
        let is_same = |enrolled: &Enrolled| {
            enrolled.revoked.is_none() && (enrolled.key, enrolled.authority) == (claim.key, authority)
        };
        if token.record.used.is_some() && !enrolled.is_some_and(is_same) {
            // An answer that was lost may be asked for again, and nothing else.
            return Err(TokenRefusal::Used(used).into());
        }
        if self.revoked.iter().any(|revoked| revoked.authority == authority) {
            return Err(Stranger::RevokedAuthority);
        }
        let gone = match enrolled {
            Some(enrolled) if enrolled.revoked.is_some() || is_same(enrolled) => None,
            Some(enrolled) if enrolled.key == claim.key || token.replaces == Some(enrolled.key) => {
                Some(enrolled.clone())
            }
            Some(enrolled) => {
                return Err(Stranger::OtherBox { site: claim.site.clone(), enrolled: enrolled.key });
            }
            None => None,
        };
        let mut token = token.clone();
        token.record.used = Some(used);
        Ok((token, gone))
    }

    /// Judges somebody who shows the key of a site's box.
    pub fn judge(&self, site: &SiteId, key: Thumbprint) -> Result<&Enrolled, Stranger> {
        let enrolled = self.sites.get(site).ok_or_else(|| Stranger::NotEnrolled(site.clone()))?;
        if enrolled.key != key {
            return Err(Stranger::OtherBox { site: site.clone(), enrolled: enrolled.key });
        }
        if enrolled.revoked.is_some() {
            return Err(Stranger::Revoked(site.clone()));
        }
        Ok(enrolled)
    }

    /// Returns the box of a site.
    pub fn enrolled(&self, site: &SiteId) -> Option<&Enrolled> {
        self.sites.get(site)
    }

    /// Returns who was refused that wanted to be a site, newest first.
    pub fn refused(&self, site: &SiteId) -> &[Refused] {
        self.refused.get(site).map_or(&[], Vec::as_slice)
    }

    /// Returns the keys that are revoked and not over.
    pub fn revoked(&self, now: Timestamp) -> impl Iterator<Item = Revoked> {
        self.revoked.iter().copied().filter(move |revoked| revoked.until >= now)
    }

    /// Returns the sites that are revoked, with no other box in their place, and whose authority is not over: the last to end
    /// first.
    pub fn revoked_sites(&self, now: Timestamp) -> Vec<SiteId> {
        let is_out = |enrolled: &Enrolled| enrolled.revoked.is_some() && enrolled.authority_until >= now;
        let out = self.sites.iter().filter(|(_, enrolled)| is_out(enrolled));
        let mut out: Vec<_> = out.map(|(site, enrolled)| (enrolled.authority_until, site)).collect();
        out.sort_by_key(|(until, _)| std::cmp::Reverse(*until));
        out.into_iter().take(MAX_REVOKED).map(|(_, site)| site.clone()).collect()
    }

    /// Returns the sites whose boxes are theirs.
    pub fn members(&self) -> impl Iterator<Item = (&SiteId, &Enrolled)> {
        self.sites.iter().filter(|(_, enrolled)| enrolled.revoked.is_none())
    }

    /// Returns the sites with a join token that nobody has used and that has not ended.
    pub fn unused_tokens(&self, now: Timestamp) -> Vec<SiteId> {
        let is_open = |token: &&Token| token.record.used.is_none() && token.record.expires > now;
        let sites: BTreeSet<_> =
            self.tokens.values().filter(is_open).map(|token| token.record.site.clone()).collect();
        sites.into_iter().collect()
    }

    /// Returns how many sites there are, those that are revoked among them.
    pub fn count_sites(&self) -> usize {
        self.sites.len()
    }

    /// Returns all that is revoked, also what is over.
    pub fn all_revoked(&self) -> &[Revoked] {
        &self.revoked
    }

    /// Notes a change of a site's box.
    pub fn note(&mut self, site: &SiteId, enrolled: Enrolled, change: &Change, revoked: Vec<Revoked>) {
        if change.token.is_some() || change.ends_tokens {
            // Somebody has looked after the site.
            self.refused.remove(site);
        }
        if change.ends_tokens {
            self.end_tokens(site);
        }
        if let Some(token) = &change.token {
            self.tokens.insert(token.record.hash, token.clone());
        }
        self.sites.insert(site.clone(), enrolled);
        if change.gone.is_some() {
            self.revoked = revoked;
        }
    }

    /// Notes what keeps the box of a site from getting on, or that nothing does.
    pub fn note_astray(&mut self, site: &SiteId, astray: Option<Astray>) {
        if let Some(enrolled) = self.sites.get_mut(site) {
            enrolled.astray = astray;
        }
    }

    /// The box of a site was not left behind after all.
    pub fn clear_left_behind(&mut self, site: &SiteId) {
        if let Some(enrolled) = self.sites.get_mut(site).filter(|enrolled| enrolled.is_left_behind()) {
            enrolled.astray = None;
        }
    }

    /// The tokens of a site end.
    pub fn end_tokens(&mut self, site: &SiteId) {
        self.tokens.retain(|_, token| token.record.site != *site);
    }

    /// Notes a new token; those that ended before a time are forgotten.
    pub fn note_token(&mut self, token: Token, before: Timestamp) {
        self.tokens.retain(|_, token| token.record.expires > before);
        self.tokens.insert(token.record.hash, token);
    }

    /// Notes somebody who was refused.
    pub fn note_refused(&mut self, site: &SiteId, refused: Refused) {
        if self.refused.len() >= MAX_REFUSED_SITES && !self.refused.contains_key(site) {
            // Names that somebody made up make room for a site that there is.
            let made_up = self.refused.keys().find(|other| !self.sites.contains_key(*other)).cloned();
            match made_up.filter(|_| self.sites.contains_key(site)) {
                Some(made_up) => drop(self.refused.remove(&made_up)),
                None => return,
            }
        }
        let kept = self.refused.entry(site.clone()).or_default();
        let before = kept.iter().position(|other| other.key == refused.key && other.reason == refused.reason);
        let times = before.map_or(0, |place| kept.remove(place).times).saturating_add(refused.times);
        kept.insert(0, Refused { times, ..refused });
        kept.truncate(MAX_REFUSED);
    }
}

#[cfg(test)]
mod tests {
    use skerry_identity::token::TokenSecret;

    use super::*;

    fn site() -> SiteId {
        SiteId::new("oslo").unwrap()
    }

    fn key(byte: u8) -> Thumbprint {
        Thumbprint::from_slice(&[byte; 32]).unwrap()
    }

    fn enrolled(byte: u8) -> Enrolled {
        Enrolled {
            key: key(byte),
            authority: key(byte + 100),
            at: Timestamp(1),
            revoked: None,
            agent_until: Timestamp(100),
            authority_until: Timestamp(50),
            astray: None,
        }
    }

    fn of(sites: impl IntoIterator<Item = (SiteId, Enrolled)>, revoked: Vec<Revoked>) -> Roll {
        Roll::restore(Kept {
            trust_version: 0,
            sites: sites.into_iter().collect(),
            revoked,
            tokens: Vec::new(),
        })
    }

    /// The table of claims: by who is enrolled, by what the token says, by the two keys, and by what was before.
    #[test]
    fn a_token_makes_one_box_the_site_s() {
        let secret = TokenSecret::generate().unwrap();
        let revoked = Enrolled { revoked: Some(Timestamp(5)), ..enrolled(1) };
        let now = Timestamp(7);
        let used = |by: u8| Some(skerry_identity::token::Use { key: key(by), at: Timestamp(3) });
        let fenced = Err(Stranger::OtherBox { site: site(), enrolled: key(1) });
        let twice = |by: u8| Err(Stranger::Token(TokenRefusal::Used(used(by).unwrap())));
        for (is, replaces, before, newcomer, expected) in [
            (None, None, None, (1, 101), Ok(None)),
            // An answer that was lost.
            (Some(enrolled(1)), None, used(1), (1, 101), Ok(None)),
            // A box that tries to have a second authority by the same token.
            (Some(enrolled(1)), None, used(1), (1, 109), twice(1)),
            (Some(enrolled(1)), None, used(1), (2, 102), twice(1)),
            // The box whose place was taken since.
            (Some(enrolled(2)), Some(key(2)), used(1), (1, 101), twice(1)),
            (Some(revoked.clone()), None, used(1), (1, 101), twice(1)),
            // A new token, the same key, another authority: what the old one signs is over.
            (Some(enrolled(1)), None, None, (1, 109), Ok(Some(enrolled(1)))),
            (Some(enrolled(1)), None, None, (2, 102), fenced.clone()),
            (Some(enrolled(1)), Some(key(1)), None, (2, 102), Ok(Some(enrolled(1)))),
            (Some(enrolled(1)), Some(key(3)), None, (2, 102), fenced),
            (Some(revoked.clone()), None, None, (2, 102), Ok(None)),
            (Some(revoked), None, None, (2, 150), Err(Stranger::RevokedAuthority)),
        ] {
            let gone = Revoked { authority: key(150), until: Timestamp(50) };
            let mut roll = of(is.clone().map(|enrolled| (site(), enrolled)), vec![gone]);
            let record = TokenRecord { used: before, ..TokenRecord::new(site(), &secret, Timestamp(10)) };
            roll.note_token(Token { record, replaces }, now);
            let claim = Claim { site: &site(), secret: &secret, key: key(newcomer.0) };
            let judged = roll.judge_claim(&claim, key(newcomer.1), now);
            assert_eq!(judged.map(|(_, gone)| gone), expected, "{is:?} {replaces:?} {before:?} {newcomer:?}");
        }
    }

    #[test]
    fn who_is_known_is_known_by_key() {
        let roll = of([(site(), enrolled(1))], Vec::new());
        assert_eq!(roll.judge(&site(), key(1)), Ok(&enrolled(1)));
        assert!(matches!(roll.judge(&site(), key(2)), Err(Stranger::OtherBox { .. })));
        let other = SiteId::new("bergen").unwrap();
        assert_eq!(roll.judge(&other, key(1)), Err(Stranger::NotEnrolled(other)));
        let revoked = Enrolled { revoked: Some(Timestamp(5)), ..enrolled(1) };
        let roll = of([(site(), revoked)], Vec::new());
        assert_eq!(roll.judge(&site(), key(1)), Err(Stranger::Revoked(site())));
    }

    #[test]
    fn who_is_refused_is_kept_once_each_and_bounded() {
        let mut roll = Roll::default();
        let refused = |byte: u8| Refused {
            peer: None,
            key: key(byte),
            reason: "no".to_owned(),
            at: Timestamp(byte.into()),
            times: 1,
        };
        for byte in [1, 2, 1, 3, 4, 5, 1] {
            roll.note_refused(&site(), refused(byte));
        }
        let kept: Vec<_> = roll.refused(&site()).iter().map(|refused| (refused.key, refused.times)).collect();
        assert_eq!(kept, [(key(1), 3), (key(5), 1), (key(4), 1), (key(3), 1)]);
        for number in 0..2 * MAX_REFUSED_SITES {
            roll.note_refused(&SiteId::new(format!("s{number}")).unwrap(), refused(1));
        }
        assert_eq!(roll.refused.len(), MAX_REFUSED_SITES);
        roll.note(&site(), enrolled(1), &Change::default(), Vec::new());
        assert_eq!(roll.refused(&site()).len(), 4, "a renewal wipes nothing");
        let other = SiteId::new("bergen").unwrap();
        roll.note(&other, enrolled(2), &Change::default(), Vec::new());
        roll.note_refused(&other, refused(1));
        assert_eq!(roll.refused(&other).len(), 1, "there is room for a site that there is");
        let looked_after = Change { ends_tokens: true, ..Change::default() };
        roll.note(&site(), enrolled(1), &looked_after, Vec::new());
        assert!(roll.refused(&site()).is_empty());
    }

    #[test]
    fn a_site_is_out_until_it_has_another_box_or_its_authority_is_over() {
        let out =
            |at| Enrolled { revoked: Some(Timestamp(3)), authority_until: Timestamp(at), ..enrolled(1) };
        let bergen = SiteId::new("bergen").unwrap();
        let mut roll = of([(bergen.clone(), out(60)), (site(), out(90))], vec![]);
        assert_eq!(roll.revoked_sites(Timestamp(60)), [site(), bergen.clone()], "the last to end first");
        assert_eq!(roll.revoked_sites(Timestamp(61)), [site()]);
        assert_eq!(roll.members().count(), 0);
        roll.note(&site(), enrolled(2), &Change::default(), Vec::new());
        assert_eq!(roll.revoked_sites(Timestamp(60)), [bergen]);
        assert_eq!(roll.members().map(|(site, _)| site).collect::<Vec<_>>(), [&site()]);
    }

    #[test]
    fn what_is_revoked_is_named_until_it_is_over() {
        let revoked = Revoked { authority: key(9), until: Timestamp(50) };
        let roll = of([], vec![revoked]);
        assert_eq!(roll.revoked(Timestamp(50)).count(), 1);
        assert_eq!(roll.revoked(Timestamp(51)).count(), 0);
    }
}
