//! Files of a policy repository: from bytes to bundles.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    skerry_fuzz_bodies::policy::body(bytes);
});
