//! Chunks: any cut, any break, and bytes that lie.

use proptest::prelude::*;
use skerry_core::bundle::{EncodedFragment, MAX_FRAGMENT_BYTES};
use skerry_proto::codec::{Assembly, CodecError, chunk_at, compress_fragment};
use skerry_proto::limits::MAX_ENCODED_FRAGMENT_BYTES;

use crate::samples::{any_fragment, service};

/// Fetches a fragment in chunks of `room` bytes; every `break_every`th chunk the link breaks and
/// only what was kept is left.
fn fetch(fragment: &EncodedFragment, room: usize, break_every: usize) -> Result<Vec<u8>, CodecError> {
    let encoded = compress_fragment(&fragment.bytes).expect("zstd has memory");
    let mut assembly = Assembly::resume(fragment.id, Vec::new());
    for number in 1.. {
        let chunk = chunk_at(&fragment.id, &encoded, assembly.want().offset, room);
        if let Some(bytes) = assembly.accept(&chunk)? {
            return Ok(bytes);
        }
        if number % break_every == 0 {
            assembly = Assembly::resume(fragment.id, assembly.encoded().to_vec());
        }
    }
    unreachable!("every chunk has at least one byte")
}

proptest! {
    #[test]
    fn chunks_of_any_size_make_the_fragment(fragment in any_fragment(), room in 1_usize..700, break_every in 1_usize..5) {
        prop_assert_eq!(fetch(&fragment, room, break_every).unwrap(), fragment.bytes.to_vec());
    }
}

#[test]
fn a_chunk_out_of_turn_changes_nothing() {
    let fragment = service(100, 10);
    let encoded = compress_fragment(&fragment.bytes).unwrap();
    let mut assembly = Assembly::resume(fragment.id, Vec::new());
    assembly.accept(&chunk_at(&fragment.id, &encoded, 0, 100)).unwrap();

    let again = assembly.accept(&chunk_at(&fragment.id, &encoded, 0, 100));

    assert!(matches!(again, Err(CodecError::Gap { offset: 0, expected: 100, .. })));
    let other = assembly.accept(&chunk_at(&service(1, 1).id, &encoded, 100, 100));
    assert!(matches!(other, Err(CodecError::OtherFragment { .. })));
    assert_eq!(assembly.want().offset, 100);
}

#[test]
fn parts_that_do_not_fit_together_are_asked_for_anew() {
    let (fragment, other) = (service(100, 10), service(100, 20));
    let encoded = compress_fragment(&other.bytes).unwrap();
    let kept = compress_fragment(&fragment.bytes).unwrap()[..50].to_vec();
    let mut assembly = Assembly::resume(fragment.id, kept);

    assert!(assembly.accept(&chunk_at(&fragment.id, &encoded, 50, usize::MAX)).is_err());

    assert_eq!(assembly.want().offset, 0);
}

#[test]
fn endless_chunks_are_cut_off_at_the_cap() {
    let fragment = service(1, 10);
    let mut assembly = Assembly::resume(fragment.id, Vec::new());
    let noise = vec![1; 200_000];
    let error = loop {
        let mut chunk = chunk_at(&fragment.id, &noise, 0, usize::MAX);
        (chunk.offset, chunk.last) = (assembly.want().offset, false);
        if let Err(error) = assembly.accept(&chunk) {
            break error;
        }
        assert!(assembly.encoded().len() <= MAX_ENCODED_FRAGMENT_BYTES);
    };
    assert!(matches!(error, CodecError::TooLong { .. }));
    assert_eq!(assembly.want().offset, 0);
}

#[test]
fn a_bomb_in_chunks_is_cut_off_at_the_cap() {
    let bomb = vec![0; MAX_FRAGMENT_BYTES + 1];
    let encoded = compress_fragment(&bomb).unwrap();
    let id = skerry_core::id::Digest::of(&bomb);
    let error = Assembly::resume(id, Vec::new()).accept(&chunk_at(&id, &encoded, 0, usize::MAX)).unwrap_err();
    assert!(matches!(error, CodecError::TooLong { .. }));
}

#[test]
fn an_offset_beyond_the_end_gives_an_empty_last_chunk() {
    let id = skerry_core::id::Digest::of(b"");
    let chunk = chunk_at(&id, b"abc", u64::MAX, usize::MAX);
    assert_eq!((chunk.offset, chunk.data.len(), chunk.last), (3, 0, true));
}
