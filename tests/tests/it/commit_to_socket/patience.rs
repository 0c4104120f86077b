//! Questions about timeouts, retries and overrides (`fixtures/answers/patience.yaml`, `override.yaml`).

use crate::question::Question;

/// The table: what both sites answer alike.
///
/// A slow backend takes a minute, and so does every setting that stands behind the one in question; a client waits ten
/// seconds. So an answer in time is of the setting in question.
pub(super) fn questions() -> Vec<Question> {
    vec![
        Question::get("a rule's own timeout", "/own-timeout?delay_ms=60000").status(504),
        Question::get("quick enough", "/own-timeout").by("v1"),
        Question::get("a policy's timeout", "/policy-timeout?delay_ms=60000").status(504),
        Question::get("slow, but within all limits", "/exact?delay_ms=1500").by("v1"),
        Question::get("a rule's own retries", "/own-retry?status=502&fail=2&key=own").attempt(3),
        Question::get("another status is not tried again", "/own-retry?status=503&fail=1&key=own-other")
            .status(503)
            .attempt(1),
        Question::get("a policy's retries", "/policy-retry?fail=2&key=policy").attempt(3),
        Question::get("one failure more than retries", "/policy-retry?fail=3&key=policy-over")
            .status(503)
            .attempt(3),
        Question::get("a try that is too slow", "/policy-retry?delay_ms=60000&key=policy-slow").status(504),
        Question::get("the namespace's retries", "/exact?fail=1&key=namespace").attempt(2),
        Question::get("one failure more than the namespace's retries", "/exact?fail=2&key=namespace-over")
            .status(503)
            .attempt(2),
        Question::get("retries switched off", "/no-retry?fail=1&key=none").status(503).attempt(1),
    ]
}

/// What a service answers that has a timeout of its own and no route.
pub(super) fn questions_without_routes() -> Vec<Question> {
    vec![
        Question::get("a service's timeout", "/?delay_ms=60000").status(504),
        Question::get("the namespace's retries, without a route", "/?fail=1&key=plain").attempt(2),
    ]
}

/// What the sites answer each in their own way: `south` has overrides.
pub(super) fn questions_by_site(site: &str) -> Vec<Question> {
    match site {
        "south" => vec![
            Question::get("another backend by override", "/side").by("v2"),
            Question::get("another timeout by override", "/side-timeout?delay_ms=60000").status(504),
        ],
        _ => vec![
            Question::get("the route as it is", "/side").by("v1"),
            Question::get("the policy as it is", "/side-timeout?delay_ms=1500").by("v1"),
        ],
    }
}
