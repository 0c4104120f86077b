//! What is made of the corpus where no fuzzer runs: a few edits at a time, the same ones each time.

/// Numbers that look random and are the same each time (xorshift64*).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence; one for each word.
    pub fn of(word: &str) -> Self {
        // FNV-1a; never 0, which would stay 0.
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    /// The next number below a bound; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or_default() % bound.max(1)
    }

    /// One of several.
    pub fn choose<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

/// Bytes and words that parsers stumble over.
const AWKWARD: [&[u8]; 14] = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80",
    b"\n---\n",
    b"\r",
    b"\xef\xbb\xbf",
    b"*a",
    b"&a [",
    b": ",
    b"-1",
    b"18446744073709551615",
    b"\x30\x82\xff\xff",
    b"\xf0\x9f\x8c\x8a",
];

/// The longest input that is made: beyond it is the fuzzer's part.
const MAX_BYTES: usize = 64 << 10;

/// Makes another input of one, with another of the corpus to take from: one to four edits.
pub fn mutate(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        edit(random, &mut bytes, other);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn edit(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let to = at + random.below(bytes.len() - at + 1).min(64);
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => {
            let copy = bytes[at..to].to_vec();
            bytes.splice(at..at, copy);
        }
        3 => {
            let word = AWKWARD[random.below(AWKWARD.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        4 => {
            let from = random.below(other.len() + 1);
            let until = from + random.below(other.len() - from + 1).min(256);
            bytes.splice(at..to, other[from..until].iter().copied());
        }
        5 => set(bytes, at, |_| u8::try_from(random.below(256)).unwrap_or_default()),
        // Numbers: one more, one less, another bit.
        6 => set(bytes, at, |byte| byte.wrapping_add(1)),
        _ => set(bytes, at, |byte| byte ^ 1 << random.below(8)),
    }
}

fn set(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_differs_and_is_the_same_each_time() {
        let made = |word: &str| -> Vec<Vec<u8>> {
            let mut random = Random::of(word);
            (0..200).map(|_| mutate(&mut random, b"a seed of some length", b"another")).collect()
        };
        assert_eq!(made("one"), made("one"));
        assert_ne!(made("one"), made("two"));
        let different: std::collections::BTreeSet<_> = made("one").into_iter().collect();
        assert!(different.len() > 150, "{}", different.len());
        assert!(mutate(&mut Random::of("empty"), b"", b"").len() < 100);
    }
}
