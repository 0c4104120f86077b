//! What strangers may say to a core.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    skerry_fuzz_bodies::enrolment::body(bytes);
});
