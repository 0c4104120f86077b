//! A pull: what a session says, in one answer.

use skerry_proto::limits::MAX_PULL_CHUNK_BYTES;
use skerry_proto::v1::PullRequest;
use skerry_proto::v1::pull_response::Outcome;

use super::need;
use crate::samples::{contents, hello, hello_of, noise, nothing, publish, service};
use crate::session::pull::Pull;

#[test]
fn a_pull_is_the_same_exchange_without_a_stream() {
    let large = noise("cart", 40_000);
    let web = service("web", 3, 1);
    let (published, offered) = (nothing(), contents(&[large.clone(), web.clone()]));
    publish(&published, "s1", 1, Some(&offered));
    let request = |need| PullRequest { hello: Some(hello("s1")), need };

    let begin = |request: &PullRequest| Pull::handle_request(request, &published);
    let pull = |request: &PullRequest| {
        let pull = begin(request).unwrap();
        assert!(pull.is_of_whole_bundle());
        pull.into_response(&published, MAX_PULL_CHUNK_BYTES)
    };

    let first = pull(&request(None));
    let second = pull(&request(Some(need(&[(&large, 0), (&web, 0)]))));

    let (Some(Outcome::Offer(one)), Some(Outcome::Offer(two))) = (first.outcome, second.outcome) else {
        panic!("an offer is due")
    };
    assert_eq!((one.fragments.len(), two.fragments.len()), (1, 0), "what was asked for is not sent twice");
    assert_eq!(first.chunks, []);
    let bytes: usize = second.chunks.iter().map(|chunk| chunk.data.len()).sum();
    assert!(bytes <= MAX_PULL_CHUNK_BYTES);
    assert!(second.chunks.last().unwrap().last);
    let again = begin(&request(Some(need(&[(&large, 0), (&web, 0)])))).unwrap();
    let short: usize =
        again.into_response(&published, 9_000).chunks.iter().map(|chunk| chunk.data.len()).sum();
    assert_eq!(short, 9_000, "as far as there is room now");
    assert!(begin(&PullRequest::default()).is_err());
    let current = PullRequest { hello: Some(hello_of("s1", &offered, 1)), need: Some(need(&[(&web, 0)])) };
    assert!(!begin(&current).unwrap().is_of_whole_bundle(), "there is nothing to send");
}
