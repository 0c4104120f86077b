//! What a client calls the server (`:authority`), where that is a path.
//!
//! gRPC's C library (Python, C++ and others) names a Unix socket by its path, percent-encoded: `run%2Fskerry%2Fapi.sock`.
//! That is no authority (RFC 3986 §3.2), and the HTTP/2 library here resets the stream. Nobody looks at the name at this
//! socket, so its characters are exchanged for others on the way in, one for one: lengths and tables of the compression
//! (RFC 7541) stay as they are. Everything else passes as it comes. Pure.

/// What a client begins with (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

/// Length, type, flags and stream (RFC 9113 §4.1).
const FRAME_HEAD_BYTES: usize = 9;

/// The longest frame that is looked into: the longest that a client may send unless it is told otherwise.
const MAX_FRAME_BYTES: usize = 16 << 10;

const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// `:authority` in the static table (RFC 7541, appendix A).
const AUTHORITY: usize = 1;

/// The bytes of a client on their way to the server.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What cannot be judged yet.
    held: Vec<u8>,
    /// How many bytes pass without a look.
    pass: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { held: Vec::new(), pass: PREFACE_BYTES }
    }

    /// Takes bytes of the client, and returns those that can go on.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut ready = 0;
        loop {
            let rest = self.held.len() - ready;
            let passed = self.pass.min(rest);
            (ready, self.pass) = (ready + passed, self.pass - passed);
            let frame = &mut self.held[ready..];
            if self.pass > 0 || frame.len() < FRAME_HEAD_BYTES {
                break;
            }
            let length = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
            let whole = FRAME_HEAD_BYTES + length;
            if frame[3] == HEADERS && length <= MAX_FRAME_BYTES {
                if frame.len() < whole {
                    break;
                }
                mend(frame[4], &mut frame[FRAME_HEAD_BYTES..whole]);
            }
            self.pass = whole;
        }
        self.held.drain(..ready).collect()
    }
}

/// Mends the authority among the headers of a frame. What is not understood is left for the server to refuse.
fn mend(flags: u8, payload: &mut [u8]) -> Option<()> {
    let mut at = 0;
    let mut end = payload.len();
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*payload.first()?))?;
        at += 1;
    }
    if flags & PRIORITY != 0 {
        at += 5;
    }
    if flags & END_HEADERS == 0 {
        return None;
    }
    let block = payload.get_mut(at..end)?;
    let mut at = 0;
    while at < block.len() {
        at = mend_field(block, at)?;
    }
    Some(())
}

/// Walks over one field (RFC 7541 §6) and returns where the next one is.
fn mend_field(block: &mut [u8], at: usize) -> Option<usize> {
    let first = *block.get(at)?;
    let prefix = match first {
        0x80.. => return Some(integer(block, at, 7)?.1),
        0x40.. => 6,
        0x20.. => return Some(integer(block, at, 5)?.1),
        _ => 4,
    };
    let (index, at) = integer(block, at, prefix)?;
    let (is_authority, at) = match index {
        0 => {
            let (name, is_packed, next) = string(block, at)?;
            (!is_packed && block.get(name)? == b":authority", next)
        }
        index => (index == AUTHORITY, at),
    };
    let (value, is_packed, next) = string(block, at)?;
    if is_authority && !is_packed {
        let value = block.get_mut(value)?;
        value.iter_mut().filter(|byte| !is_allowed(**byte)).for_each(|byte| *byte = b'.');
    }
    Some(next)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte)
}

/// Reads a string (RFC 7541 §5.2): where it is, whether it is Huffman-coded, and where the next thing is.
fn string(block: &[u8], at: usize) -> Option<(std::ops::Range<usize>, bool, usize)> {
    let is_packed = *block.get(at)? & 0x80 != 0;
    let (length, at) = integer(block, at, 7)?;
    let end = at.checked_add(length)?;
    (end <= block.len()).then_some((at..end, is_packed, end))
}

/// Reads an integer with a prefix of so many bits (RFC 7541 §5.1), and where the next thing is.
fn integer(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let mask = (1 << bits) - 1;
    let mut value = usize::from(*block.get(at)?) & mask;
    let mut at = at + 1;
    if value < mask {
        return Some((value, at));
    }
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(*block.get(at)?);
        at += 1;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn literal(first: u8, text: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(text.len()).unwrap()], text].concat()
    }

    /// A request as gRPC's C library writes it: method, scheme, path, authority, and one more header with a percent sign.
    fn block(authority: &[u8]) -> Vec<u8> {
        let path = literal(0x44, b"/SpiffeWorkloadAPI/FetchX509SVID");
        let other = [literal(0x40, b"x"), literal(0, b"%")[1..].to_vec()].concat();
        [&[0x83, 0x86][..], &path, &literal(0x41, authority), &other].concat()
    }

    /// Takes bytes in pieces of a length.
    fn through(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut incoming = Incoming::new();
        bytes.chunks(piece).flat_map(|piece| incoming.take(piece)).collect()
    }

    #[test]
    fn a_path_becomes_a_name_of_the_same_length_and_the_rest_stays() {
        let of = |authority: &[u8]| {
            let headers = frame(HEADERS, END_HEADERS, &block(authority));
            [PREFACE, &frame(4, 0, &[]), &headers, &frame(0, 0, b"data with %2F")].concat()
        };
        for piece in [1, 7, 1000] {
            assert_eq!(through(&of(b"run%2Fapi.sock"), piece), of(b"run.2Fapi.sock"));
            assert_eq!(through(&of(b"localhost:80"), piece), of(b"localhost:80"));
            assert_eq!(through(&of(b"/run/api.sock"), piece), of(b".run.api.sock"));
        }
    }

    #[test]
    fn padding_priority_and_names_in_full_are_understood() {
        let name = |value: &[u8]| [literal(0, b":authority"), literal(0, value)[1..].to_vec()].concat();
        let padded = |value: &[u8]| [&[3][..], &[0; 5], &name(value), &[b'%'; 3]].concat();
        let of = |value: &[u8]| {
            [PREFACE, &frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded(value))].concat()
        };
        assert_eq!(through(&of(b"a%b"), 1000), of(b"a.b"));
    }

    #[test]
    fn what_is_not_understood_passes_as_it_is() {
        let packed = [&[0x41, 0x82][..], b"%%"].concat();
        let cut = [&[0x41, 9][..], b"%%"].concat();
        for (flags, payload) in
            [(END_HEADERS, packed), (END_HEADERS, cut), (0, block(b"a%b")), (PADDED, vec![])]
        {
            let bytes = [PREFACE, &frame(HEADERS, flags, &payload)].concat();
            assert_eq!(through(&bytes, 1000), bytes);
        }
        let long = [PREFACE, &frame(HEADERS, END_HEADERS, &vec![0x41; MAX_FRAME_BYTES + 1])].concat();
        assert_eq!(through(&long, 100), long);
    }

    proptest! {
        /// No byte is lost, added or moved, and nothing panics.
        #[test]
        fn any_bytes_pass_with_their_length(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..50_usize) {
            let mut all = [PREFACE, &frame(HEADERS, END_HEADERS | (bytes.len() as u8 & (PADDED | PRIORITY)), &bytes)].concat();
            all.extend(frame(0, 0, &bytes));
            let passed = through(&all, piece);
            prop_assert_eq!(passed.len(), all.len());
            let differs = |(one, other): (&u8, &u8)| one != other && *other != b'.';
            prop_assert!(!all.iter().zip(&passed).any(differs));
        }
    }
}
