//! Label selectors in the text form of `kubectl -l`.

use skerry_core::selector::{Labels, Selector};

fn labels(text: &str) -> Labels {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_text_form_is_that_of_kubectl() {
    let retail = labels("tier=retail,region=eu");
    let cases = [
        ("", true),
        ("tier=retail", true),
        ("tier==retail", true),
        ("tier!=retail", false),
        ("tier=retail,region=us", false),
        ("region in (eu, us)", true),
        ("region notin (eu, us)", false),
        ("zone notin (a)", true),
        ("zone!=a", true),
        ("tier", true),
        ("!tier", false),
        ("!zone,tier", true),
    ];
    for (text, expected) in cases {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.matches(&retail), expected, "{text}");
        assert_eq!(
            Selector::parse(&selector.to_string()).unwrap(),
            selector,
            "{text} is printed as it is parsed"
        );
    }
}

#[test]
fn what_is_not_understood_is_named() {
    for text in
        ["region in eu", "a b", "=x", "tier in (a", "tier!=in (retail)", "a=b=c", "tier=re tail", "a/b/c=d"]
    {
        assert!(Selector::parse(text).unwrap_err().contains(text), "{text}");
    }
    for text in ["tier=retail,,", ",tier", "tier,"] {
        assert!(Selector::parse(text).unwrap_err().contains("comma"), "{text}");
    }
}
