//! The path from a leaf to a trusted root (RFC 5280 §6.1): each certificate signed by the next one of the chain, the last
//! one by a root that is trusted here.
//!
//! Must not look for other ways through the certificates: peers send their chain in order (RFC 8446 §4.4.2), and ours have
//! one order. Policies, revocation lists and self-issued certificates are not part of Skerry's trees; what is critical and
//! unknown is refused.

use skerry_core::id::Timestamp;

use super::parsed::Parsed;
use super::{Chain, MAX_CHAIN, Place, Refusal, names, place};
use crate::certificate::Certificate;

/// A path that holds: the certificates that were sent, leaf first. The root is checked, and left out.
pub(super) struct Path<'a> {
    pub(super) chain: Vec<Parsed<'a>>,
}

/// Verifies the path of a chain to one of the roots.
pub(super) fn verify<'a>(
    chain: &'a Chain<'_>,
    roots: &[Certificate],
    now: Timestamp,
) -> Result<Path<'a>, Refusal> {
    // The root may be sent along; it is the one that is kept here that counts.
    let is_root = |der: &[u8]| roots.iter().any(|root| root.der().as_ref() == der);
    let sent = match chain {
        [rest @ .., last] if !rest.is_empty() && is_root(last) => rest,
        _ => chain,
    };
    if sent.is_empty() || chain.len() > MAX_CHAIN {
        return Err(Refusal::Length(chain.len()));
    }
    let parsed = sent.iter().enumerate().map(|(index, der)| Parsed::read(place(index), der));
    let chain = parsed.collect::<Result<Vec<_>, _>>()?;
    for pair in chain.windows(2) {
        check_signed(&pair[0], &pair[1])?;
    }
    let roots: Vec<Parsed<'_>> =
        roots.iter().map(|root| Parsed::read(Place::Root, root.der())).collect::<Result<_, _>>()?;
    let root = find_root(&chain, &roots)?;
    let all: Vec<&Parsed<'_>> = chain.iter().chain([root]).collect();
    all.iter().try_for_each(|certificate| certificate.check_time(now))?;
    (1..all.len()).try_for_each(|index| check_authority(all[index], &all[..index]))?;
    Ok(Path { chain })
}

fn check_signed(subject: &Parsed<'_>, issuer: &Parsed<'_>) -> Result<(), Refusal> {
    if !subject.names_issuer(issuer) {
        return Err(Refusal::UnknownIssuer(subject.place));
    }
    if subject.is_signed_by(issuer) { Ok(()) } else { Err(Refusal::BadSignature(subject.place)) }
}

/// Finds the root that signed the last certificate. Two roots may have one name, so the signature decides.
fn find_root<'a, 'b>(chain: &[Parsed<'_>], roots: &'a [Parsed<'b>]) -> Result<&'a Parsed<'b>, Refusal> {
    let last = &chain[chain.len() - 1];
    let mut named = roots.iter().filter(|root| last.names_issuer(root)).peekable();
    if named.peek().is_none() {
        return Err(Refusal::UnknownIssuer(last.place));
    }
    named.find(|root| last.is_signed_by(root)).ok_or(Refusal::BadSignature(last.place))
}

/// Checks what an authority may: sign at all, have so many authorities below it, name what is named below it.
fn check_authority(authority: &Parsed<'_>, below: &[&Parsed<'_>]) -> Result<(), Refusal> {
    let found = u32::try_from(below.len() - 1).unwrap_or(u32::MAX);
    if let Some(most) = authority.below()?.filter(|most| found > *most) {
        return Err(Refusal::PathTooLong { place: authority.place, most, found });
    }
    below.iter().try_for_each(|subject| names::check(authority, subject))
}
