//! Whether a site may run a manifest.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    skerry_fuzz_bodies::accept::body(bytes);
});
