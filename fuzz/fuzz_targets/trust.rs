//! Trust roots, and who signed what.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    skerry_fuzz_bodies::trust::body(bytes);
});
