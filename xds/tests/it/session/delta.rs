//! Delta: each thing that a client may do.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use insta::assert_snapshot;
use skerry_xds::resource::ResourceKind::{self, Cluster, Endpoint, Listener, Route, Secret};
use skerry_xds::session::Delta;

use super::pile::{Pile, version_of};
use super::transcript::{Talk, node, subscribe};

/// Two services and a way to them.
fn pile() -> Pile {
    Pile::default().service("a", 1).service("b", 1).way("in", 1)
}

/// A proxy that was brought up to date.
fn synced(pile: &Pile) -> Talk<Delta> {
    let mut talk = Talk::new(pile);
    talk.ask(DeltaDiscoveryRequest { node: Some(node()), ..subscribe(Cluster, &[]) });
    talk.ask(subscribe(Endpoint, &["a", "b"])).ack(Endpoint).ack(Cluster);
    talk.ask(subscribe(Listener, &["*"])).ack(Listener);
    talk.ask(subscribe(Route, &["in"])).ack(Route);
    talk
}

fn unsubscribe(kind: ResourceKind, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        resource_names_unsubscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..subscribe(kind, &[])
    }
}

/// A first request on a new stream, from a client that kept these editions.
fn kept(kind: ResourceKind, names: &[&str], editions: &[(&str, u32)]) -> DeltaDiscoveryRequest {
    let version = |(name, edition): &(&str, u32)| ((*name).to_owned(), version_of(kind, name, *edition));
    DeltaDiscoveryRequest {
        initial_resource_versions: editions.iter().map(version).collect(),
        ..subscribe(kind, names)
    }
}

#[test]
fn a_proxy_comes_up_in_order() {
    assert_snapshot!(synced(&pile()).text());
}

#[test]
fn the_first_wildcard_answer_is_sent_even_when_empty() {
    let mut talk = Talk::<Delta>::new(&Pile::default());
    talk.ask(subscribe(Cluster, &["*"])).ack(Cluster).ask(subscribe(Listener, &[])).ack(Listener);
    assert_snapshot!(talk.text());
}

#[test]
fn an_acknowledgement_is_not_answered_and_a_stale_nonce_changes_nothing() {
    let mut talk = synced(&pile());
    talk.ask(DeltaDiscoveryRequest { response_nonce: "1".to_owned(), ..subscribe(Cluster, &[]) });
    talk.set(&pile().service("a", 2));
    // The answer to an older response, while a newer one is under way.
    talk.ask(DeltaDiscoveryRequest { response_nonce: "2".to_owned(), ..subscribe(Cluster, &[]) });
    talk.ask(DeltaDiscoveryRequest { response_nonce: "77".to_owned(), ..subscribe(Endpoint, &["none"]) });
    talk.ack(Endpoint).ack(Endpoint).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn named_subscriptions_are_answered_also_when_there_is_nothing_or_it_is_known() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(subscribe(Cluster, &["a", "none"])).ack(Cluster);
    talk.ask(subscribe(Cluster, &["a"])).ack(Cluster);
    talk.set(&pile().service("none", 1)).ack(Cluster);
    talk.ask(unsubscribe(Cluster, &["a"])).set(&pile().service("a", 2).service("none", 1));
    talk.ask(subscribe(Cluster, &["a"])).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn names_and_wildcard_live_side_by_side() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(subscribe(Cluster, &["a"])).ack(Cluster);
    talk.ask(subscribe(Cluster, &["*"])).ack(Cluster);
    talk.ask(unsubscribe(Cluster, &["a"])).ack(Cluster);
    talk.ask(unsubscribe(Cluster, &["*"])).set(&pile().service("a", 2).service("b", 2));
    assert_snapshot!(talk.text());
}

#[test]
fn a_name_that_everything_still_covers_is_answered_when_it_is_given_up() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(subscribe(Cluster, &["*", "a", "none"])).ack(Cluster);
    talk.ask(unsubscribe(Cluster, &["a", "none"])).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn a_first_request_that_gives_something_up_asks_for_nothing() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(unsubscribe(Cluster, &["a"])).ask(subscribe(Cluster, &["b"])).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn a_restart_of_the_agent_pushes_nothing_anew() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(kept(Cluster, &["*"], &[("a", 1), ("b", 1)]));
    talk.ask(kept(Endpoint, &["a", "b"], &[("a", 1), ("b", 1)]));
    talk.ask(kept(Listener, &[], &[("in", 1)]));
    talk.ask(kept(Route, &["in"], &[("in", 1)]));
    assert_snapshot!(talk.text());
}

#[test]
fn what_changed_while_the_agent_was_away_is_sent_and_removed() {
    let pile = Pile::default().service("a", 2).service("c", 1).way("in", 2);
    let mut talk = Talk::<Delta>::new(&pile);
    talk.ask(kept(Cluster, &[], &[("a", 1), ("b", 1)]));
    // The endpoints of `a` are sent though the client has them: its cluster changed.
    talk.ask(kept(Endpoint, &["a", "b"], &[("a", 2), ("b", 1)]));
    talk.ask(kept(Listener, &[], &[("in", 1), ("old", 1)]));
    talk.ask(kept(Route, &["in", "old"], &[("in", 1), ("old", 1)]));
    talk.ask(subscribe(Endpoint, &["c"]));
    talk.ack(Endpoint)
        .ack(Endpoint)
        .ack(Cluster)
        .ack(Listener)
        .ack(Route)
        .ack(Route)
        .ack(Cluster)
        .ack(Endpoint);
    assert_snapshot!(talk.text());
}

#[test]
fn endpoints_are_sent_again_after_their_cluster_changed() {
    let mut talk = synced(&pile());
    talk.set(&pile().with(Cluster, "a", 2)).ack(Endpoint).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn what_goes_goes_last_and_in_turn() {
    let mut talk = synced(&pile());
    let next = Pile::default().service("a", 1).service("c", 1).with(Listener, "in", 1).with(Route, "in", 2);
    talk.set(&next)
        .ask(subscribe(Endpoint, &["c"]))
        .ack(Endpoint)
        .ack(Cluster)
        .ack(Route)
        .ack(Cluster)
        .ack(Endpoint);
    assert_snapshot!(talk.text());
}

#[test]
fn a_listener_goes_together_with_what_may_take_its_address() {
    let mut talk = synced(&pile());
    talk.set(&Pile::default().service("a", 1).service("b", 1).way("new", 1));
    talk.ack(Listener).ask(subscribe(Route, &["new"])).ack(Route).ack(Route);
    assert_snapshot!(talk.text());
}

#[test]
fn a_refused_version_is_not_sent_again_and_hurts_no_other_kind() {
    let mut talk = synced(&pile());
    let bad = pile().with(Listener, "in", 2).with(Route, "in", 2);
    talk.set(&bad).nack(Listener, "bad listener").ack(Route);
    talk.set(&bad);
    // Back to what it had: nobody knows what the client made of the refused one, so it is sent.
    talk.set(&pile()).ack(Listener).ack(Route);
    talk.set(&bad).nack(Listener, "still bad").ack(Route);
    // Asking for it is another matter.
    talk.ask(subscribe(Listener, &["in"])).ack(Listener);
    assert_snapshot!(talk.text());
}

#[test]
fn one_bad_resource_among_many_is_found_and_the_others_arrive() {
    let mut talk = Talk::<Delta>::new(&Pile::default());
    talk.ask(subscribe(Listener, &[])).ack(Listener);
    let many =
        ["a", "b", "c", "d", "e"].iter().fold(Pile::default(), |pile, name| pile.with(Listener, name, 1));
    talk.set(&many).nack(Listener, "c is bad");
    talk.ack(Listener).nack(Listener, "c is bad").nack(Listener, "c is bad").ack(Listener);
    talk.ack(Listener);
    assert_snapshot!(talk.text());
}

#[test]
fn a_client_that_never_acknowledges_makes_nothing_pile_up() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(subscribe(Listener, &[])).ask(subscribe(Cluster, &[]));
    for edition in 2..50 {
        talk.set(&Pile::default().service("a", edition).way("in", edition));
    }
    // Slow, not dead: it gets the newest and nothing in between.
    talk.ack(Cluster).ack(Listener).ask(subscribe(Endpoint, &["a"])).ack(Endpoint).ack(Cluster);
    talk.ack(Listener).ask(subscribe(Route, &["in"])).ack(Route).ack(Cluster);
    let text = talk.text().replace("= new set\n= new set\n", "");
    assert_snapshot!(text);
}

#[test]
fn unknown_types_are_answered_with_nothing() {
    let mut talk = Talk::<Delta>::new(&pile());
    let hosts = |names: &[&str]| DeltaDiscoveryRequest {
        type_url: "type.googleapis.com/envoy.config.route.v3.VirtualHost".to_owned(),
        ..subscribe(Cluster, names)
    };
    talk.ask(hosts(&["one", "two"]))
        .ask(DeltaDiscoveryRequest { response_nonce: "1".to_owned(), ..hosts(&[]) });
    assert_snapshot!(talk.text());
}

/// A certificate that is renewed is one message: neither clusters nor listeners are sent again.
#[test]
fn a_new_secret_is_sent_by_itself() {
    let with = |edition| pile().with(Secret, "workload", edition).with(Secret, "mesh-roots", 1);
    let mut talk = Talk::<Delta>::new(&with(1));
    talk.ask(DeltaDiscoveryRequest { node: Some(node()), ..subscribe(Cluster, &[]) });
    talk.ask(subscribe(Endpoint, &["a", "b"])).ask(subscribe(Secret, &["workload", "mesh-roots"]));
    talk.ack(Secret).ack(Endpoint).ack(Cluster);
    talk.ask(subscribe(Listener, &["*"])).ack(Listener);
    talk.ask(subscribe(Route, &["in"])).ack(Route);
    talk.set(&with(2)).ack(Secret);
    assert_snapshot!(talk.text());
}

#[test]
fn a_client_that_asks_by_name_is_served_in_its_own_order() {
    let mut talk = Talk::<Delta>::new(&pile());
    talk.ask(DeltaDiscoveryRequest { node: Some(node()), ..subscribe(Listener, &["in"]) }).ack(Listener);
    talk.ask(subscribe(Route, &["in"])).ack(Route);
    talk.ask(subscribe(Cluster, &["a"])).ack(Cluster);
    talk.ask(subscribe(Endpoint, &["a"])).ack(Endpoint);
    assert_snapshot!(talk.text());
}
