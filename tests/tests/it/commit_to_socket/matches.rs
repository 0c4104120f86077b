//! Questions about matches: every kind, and what wins when several fit (`fixtures/answers/matches.yaml`).

use hyper::Method;

use crate::question::Question;

/// The table.
pub(super) fn questions() -> Vec<Question> {
    [paths(), conditions(), precedence()].concat()
}

fn paths() -> Vec<Question> {
    vec![
        Question::get("an exact path", "/exact").by("v1"),
        Question::get("an exact path with a query", "/exact?a=b").by("v1"),
        Question::get("more than an exact path", "/exact/more").status(404),
        Question::get("an exact path and a slash", "/exact/").status(404),
        Question::get("another case", "/Exact").status(404),
        Question::get("a prefix itself", "/prefix").by("v1"),
        Question::get("a prefix and a slash", "/prefix/").by("v1"),
        Question::get("below a prefix", "/prefix/some/thing").by("v1").path("/prefix/some/thing"),
        Question::get("a prefix within an element", "/prefixed").status(404),
        Question::get("the longer prefix", "/prefix/long").by("v2"),
        Question::get("below the longer prefix", "/prefix/long/way").by("v2"),
        Question::get("a pattern", "/regex/42").by("v1"),
        Question::get("a pattern that is more than the path", "/regex/42/x").status(404),
        Question::get("the first of two matches", "/either").by("v2"),
        Question::get("the second of two matches", "/or").by("v2"),
        Question::get("no match", "/nothing-here").status(404),
    ]
}

fn conditions() -> Vec<Question> {
    vec![
        Question::get("no header", "/headers").by("v1"),
        Question::get("both headers", "/headers").with("x-color", "red").with("x-size", "42").by("v2"),
        Question::get("one of two headers", "/headers").with("x-color", "red").by("v1"),
        Question::get("another value", "/headers").with("x-color", "redder").with("x-size", "42").by("v1"),
        Question::get("a pattern that fits in part", "/headers")
            .with("x-color", "red")
            .with("x-size", "4x")
            .by("v1"),
        Question::get("a query", "/query?animal=whale").by("v2"),
        Question::get("a query among others", "/query?a=b&animal=whale").by("v2"),
        Question::get("another query", "/query?animal=whales").by("v1"),
        Question::new("GET", Method::GET, "/method").by("v1"),
        Question::new("POST", Method::POST, "/method").by("v2"),
        Question::new("a method that no rule has", Method::DELETE, "/method").status(404),
    ]
}

fn precedence() -> Vec<Question> {
    vec![
        Question::get("exact before prefix", "/order").by("v2"),
        Question::get("only the prefix", "/order/more").by("v1"),
        Question::get("a method before two headers", "/rank-method")
            .with("x-one", "1")
            .with("x-two", "2")
            .by("v2"),
        Question::get("a header before two queries", "/rank-header?one=1&two=2").with("x-one", "1").by("v2"),
        Question::get("two queries alone", "/rank-header?one=1&two=2").by("v1"),
        Question::get("the first of equal rules", "/first").by("v1"),
        Question::get("the first name of routes of one age", "/tie").by("v2"),
    ]
}
