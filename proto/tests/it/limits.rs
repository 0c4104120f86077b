//! Invariant 9: the caps fit into each other, so that nothing that is allowed is too long to be sent.

use skerry_core::bundle::{MAX_FRAGMENTS, MAX_MANIFEST_BYTES};
use skerry_proto::limits::{
    MAX_CHUNK_BYTES, MAX_DETAIL_BYTES, MAX_EVENTS, MAX_INLINE_BYTES, MAX_LIST_BYTES, MAX_MESSAGE_BYTES,
    MAX_PULL_CHUNK_BYTES, MAX_REPORT_BYTES, MAX_REPORTS, MAX_WANTS,
};

/// Tags and lengths around a field.
const OVERHEAD: usize = 16;
/// `service/` and two DNS labels, an id, a length, and their tags.
const LONGEST_REF: usize = 8 + 64 + 64 + 34 + 6 + 6;

#[test]
fn the_longest_of_each_message_is_below_the_cap() {
    let offer = MAX_INLINE_BYTES + MAX_MANIFEST_BYTES + MAX_INLINE_BYTES;
    let list = MAX_FRAGMENTS * LONGEST_REF;
    assert!(list <= MAX_LIST_BYTES, "{list}");
    for (name, length) in [
        ("offer", offer),
        ("chunk", MAX_CHUNK_BYTES),
        ("pull response", offer + MAX_PULL_CHUNK_BYTES),
        ("need", MAX_WANTS * (34 + 10 + 4)),
        ("reports", MAX_REPORTS * (MAX_REPORT_BYTES + OVERHEAD)),
        ("events", MAX_EVENTS * (MAX_DETAIL_BYTES + 128)),
    ] {
        assert!(length + OVERHEAD <= MAX_MESSAGE_BYTES, "{name}: {length}");
    }
}
