//! Questions about timeouts, retries and overrides (`fixtures/answers/patience.yaml`, `override.yaml`).

use crate::question::Question;

/// The table: what both sites answer alike. A slow backend takes a minute, which no timeout of 150 ms waits for.
pub(super) fn questions() -> Vec<Question> {
    vec![
        Question::get("a rule's own timeout", "/own-timeout?delay_ms=60000").status(504).within(30_000),
        Question::get("quick enough", "/own-timeout").by("v1"),
        Question::get("a policy's timeout", "/policy-timeout?delay_ms=60000").status(504).within(30_000),
        Question::get("the policy of the namespace waits longer", "/exact?delay_ms=300").by("v1"),
        Question::get("a rule's own retries", "/own-retry?status=502&fail=2&key=own").attempt(3),
        Question::get("another status is not tried again", "/own-retry?status=503&fail=1&key=own-other")
            .status(503),
        Question::get("a policy's retries", "/policy-retry?fail=2&key=policy").attempt(3),
        Question::get("one failure more than retries", "/policy-retry?fail=3&key=policy-over")
            .status(503)
            .attempt(3),
        Question::get("a try that is too slow", "/policy-retry?delay_ms=60000&key=policy-slow")
            .status(504)
            .within(30_000),
        Question::get("retries switched off", "/no-retry?fail=1&key=none").status(503).attempt(1),
    ]
}

/// What the sites answer each in their own way: `south` has overrides.
pub(super) fn questions_by_site(site: &str) -> Vec<Question> {
    match site {
        "south" => vec![
            Question::get("another backend by override", "/side").by("v2"),
            Question::get("another timeout by override", "/side-timeout?delay_ms=60000")
                .status(504)
                .within(30_000),
        ],
        _ => vec![
            Question::get("the route as it is", "/side").by("v1"),
            Question::get("the policy as it is", "/side-timeout?delay_ms=300").by("v1"),
        ],
    }
}
