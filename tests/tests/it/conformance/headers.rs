//! What the conformance manifests about headers and rewrites must do.

use super::expectations::{Row, echo};
use crate::question::Question;

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![
        echo("httproute-request-header-modifier.yaml", modifiers()),
        echo("httproute-request-header-modifier-backend.yaml", modifiers()),
        echo("httproute-rewrite-path.yaml", rewrites()),
    ]
}

/// The same for filters of a rule and of a backend.
fn modifiers() -> Vec<Question> {
    vec![
        Question::get("set, absent", "/set").seen("x-header-set", "set-overwrites-values").by("v1"),
        Question::get("set, present", "/set")
            .with("x-header-set", "mine")
            .seen("x-header-set", "set-overwrites-values"),
        Question::get("add, absent", "/add").seen("x-header-add", "add-appends-values"),
        Question::get("add, present", "/add")
            .with("x-header-add", "mine")
            .seen("x-header-add", "mine,add-appends-values"),
        Question::get("remove", "/remove").with("x-header-remove", "mine").not_seen("x-header-remove"),
        Question::get("many", "/multiple")
            .with("x-header-set-2", "mine")
            .with("x-header-add-2", "mine")
            .with("x-header-remove-1", "mine")
            .with("x-header-remove-2", "mine")
            .with("another-header", "mine")
            .seen("x-header-set-1", "header-set-1")
            .seen("x-header-set-2", "header-set-2")
            .seen("x-header-add-1", "header-add-1")
            .seen("x-header-add-2", "mine,header-add-2")
            .seen("x-header-add-3", "header-add-3")
            .seen("another-header", "mine")
            .not_seen("x-header-remove-1")
            .not_seen("x-header-remove-2"),
        Question::get("names have no case", "/case-insensitivity")
            .with("X-HEADER-SET", "mine")
            .with("x-Header-Add", "mine")
            .with("x-HEADER-remove", "mine")
            .seen("x-header-set", "header-set")
            .seen("x-header-add", "mine,header-add")
            .not_seen("x-header-remove"),
    ]
}

fn rewrites() -> Vec<Question> {
    let with_headers = |question: Question| {
        question
            .with("x-header-remove", "mine")
            .with("x-header-add-append", "mine")
            .with("x-header-set", "mine")
            .seen("x-header-set", "set-overwrites-values")
            .seen("x-header-add", "header-val-1")
            .seen("x-header-add-append", "mine,header-val-2")
            .not_seen("x-header-remove")
    };
    vec![
        Question::get("prefix", "/prefix/one/two").path("/one/two").by("v1"),
        Question::get("stripped prefix", "/strip-prefix/three").path("/three"),
        Question::get("stripped prefix alone", "/strip-prefix").path("/"),
        Question::get("whole path", "/full/one/two").path("/one"),
        with_headers(
            Question::get("whole path and headers", "/full/rewrite-path-and-modify-headers/test")
                .path("/test"),
        ),
        with_headers(
            Question::get("prefix and headers", "/prefix/rewrite-path-and-modify-headers/one")
                .path("/prefix/one"),
        ),
    ]
}
