//! What an offer carries: lists and fragments.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    skerry_fuzz_bodies::bundle::body(bytes);
});
