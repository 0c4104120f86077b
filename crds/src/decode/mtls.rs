//! `mtls` → the mode; nothing where it is not said.

use skerry_core::bundle::v1;

use crate::api::mtls::{Mtls, MtlsMode};

pub(super) fn mode(given: Option<&Mtls>) -> Option<v1::MtlsMode> {
    given?.mode.map(|mode| match mode {
        MtlsMode::Strict => v1::MtlsMode::Strict,
        MtlsMode::Permissive => v1::MtlsMode::Permissive,
    })
}
