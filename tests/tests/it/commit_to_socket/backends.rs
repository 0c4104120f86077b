//! Questions about backends that cannot answer, and about a service without routes (`fixtures/answers/backends.yaml`).

use crate::question::Question;

/// The table. Shares are counted, not asked once: see the parent.
pub(super) fn questions() -> Vec<Question> {
    vec![
        Question::get("a weight of zero", "/weight-of-zero").by("v2"),
        Question::get("all weights zero", "/all-of-zero").status(500),
        Question::get("no backend", "/no-backend").status(500),
        Question::get("a backend that was never written", "/dangling").status(500),
        Question::get("a backend without a workload", "/nobody").status(503),
    ]
}

/// What a service answers that no route is attached to.
pub(super) fn questions_without_routes() -> Vec<Question> {
    vec![
        Question::get("any path", "/any/path?a=b").by("v2").path("/any/path"),
        Question::get("the backend's own status", "/?status=418").status(418),
    ]
}
