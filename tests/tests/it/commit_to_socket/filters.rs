//! Questions about header changes, redirects and rewrites (`fixtures/answers/filters.yaml`).

use crate::question::Question;

/// The table.
pub(super) fn questions() -> Vec<Question> {
    [headers(), redirects(), rewrites()].concat()
}

fn headers() -> Vec<Question> {
    let request =
        |name, path: &str| Question::get(name, path).with("x-set", "by-client").with("x-add", "by-client");
    let answer = "?header=x-set:by-backend&header=x-add:by-backend&header=x-remove:by-backend";
    vec![
        request("request headers", "/request-headers")
            .with("x-remove", "by-client")
            .seen("x-set", "by-route")
            .seen("x-add", "by-client,by-route")
            .not_seen("x-remove"),
        Question::get("request headers that were not sent", "/request-headers")
            .seen("x-set", "by-route")
            .seen("x-add", "by-route"),
        Question::get("response headers", &format!("/response-headers{answer}"))
            .header("x-set", "by-route")
            .header("x-add", "by-backend,by-route")
            .no_header("x-remove"),
        Question::get("headers of one backend", "/backend-headers")
            .with("x-set", "by-client")
            .seen("x-set", "by-backend")
            .header("x-set", "by-backend"),
    ]
}

fn redirects() -> Vec<Question> {
    let redirect = |name, path: &str, status, location| {
        Question::get(name, path).status(status).header("location", location)
    };
    vec![
        redirect("host and port", "/redirect-host/a?b=c", 302, "http://example.org:8443/redirect-host/a?b=c"),
        redirect(
            "neither scheme nor port",
            "/redirect-same-port",
            302,
            "http://example.org:8080/redirect-same-port",
        ),
        redirect("scheme", "/redirect-scheme", 302, "https://example.org/redirect-scheme"),
        redirect("whole path", "/redirect-full/a", 301, "http://example.org/elsewhere"),
        redirect("prefix", "/redirect-prefix/a/b", 308, "http://example.org/elsewhere/a/b"),
        redirect("prefix alone", "/redirect-prefix", 308, "http://example.org/elsewhere"),
        redirect("status", "/redirect-307", 307, "http://example.org/redirect-307"),
    ]
}

fn rewrites() -> Vec<Question> {
    vec![
        Question::get("host", "/rewrite-host").seen("host", "inside.example").path("/rewrite-host"),
        Question::get("host that is kept", "/exact").seen("host", "echo.shop"),
        Question::get("whole path", "/rewrite-full/a/b").path("/whole"),
        Question::get("whole path keeps the query", "/rewrite-full?status=418").path("/whole").status(418),
        Question::get("prefix", "/rewrite-prefix/a/b").path("/part/a/b"),
        Question::get("prefix alone", "/rewrite-prefix").path("/part"),
        Question::get("prefix to the root", "/strip/a").path("/a"),
        Question::get("prefix alone to the root", "/strip").path("/"),
    ]
}
