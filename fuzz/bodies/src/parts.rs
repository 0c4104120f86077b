//! Several inputs in one: each but the last with its length before it.

/// Cuts off the first part: two bytes of length, big-endian, and as many bytes as there are of it.
pub fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (&[], &[]) };
    rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()))
}

/// Puts parts together. A part that is too long for its length is cut.
pub fn join(first: &[&[u8]], last: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in first {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&part[..length.into()]);
    }
    bytes.extend_from_slice(last);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_together_is_taken_apart() {
        let joined = join(&[b"one", b""], b"three");
        let (one, rest) = split(&joined);
        let (two, three) = split(rest);
        assert_eq!((one, two, three), (&b"one"[..], &b""[..], &b"three"[..]));
        assert_eq!(split(&[0, 9, 7]), (&[7][..], &[][..]));
        assert_eq!(split(&[9]), (&[][..], &[][..]));
    }
}
