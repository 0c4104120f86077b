//! SotW: the same cases, where the whole state travels.

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use insta::assert_snapshot;
use skerry_xds::resource::ResourceKind::{self, Cluster, Endpoint, Listener, Route};
use skerry_xds::session::Sotw;

use super::pile::Pile;
use super::transcript::{Talk, node};

fn pile() -> Pile {
    Pile::default().service("a", 1).service("b", 1).way("in", 1)
}

fn request(kind: ResourceKind, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        type_url: kind.type_url().to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

/// A proxy that was brought up to date.
fn synced(pile: &Pile) -> Talk<Sotw> {
    let mut talk = Talk::new(pile);
    talk.ask(DiscoveryRequest { node: Some(node()), ..request(Cluster, &[]) });
    talk.names(Endpoint, &["a", "b"]).ack(Endpoint).ack(Cluster);
    talk.names(Listener, &[]).ack(Listener).names(Route, &["in"]).ack(Route);
    talk
}

#[test]
fn a_proxy_comes_up_in_order() {
    assert_snapshot!(synced(&pile()).text());
}

#[test]
fn the_first_wildcard_answer_is_sent_even_when_empty() {
    let mut talk = Talk::<Sotw>::new(&Pile::default());
    talk.names(Cluster, &[]).ack(Cluster).names(Listener, &["*"]).ack(Listener);
    assert_snapshot!(talk.text());
}

#[test]
fn a_stale_nonce_is_ignored() {
    let mut talk = synced(&pile());
    talk.set(&pile().service("a", 2));
    talk.ask(DiscoveryRequest { response_nonce: "1".to_owned(), ..request(Endpoint, &["a"]) });
    talk.ack(Endpoint).ack(Endpoint).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn names_come_and_go_and_come_again() {
    let mut talk = synced(&pile());
    talk.names(Endpoint, &["a"]);
    talk.set(&pile().with(Endpoint, "b", 2));
    talk.names(Endpoint, &["a", "b"]).ack(Endpoint);
    talk.names(Endpoint, &["a", "b", "none"]);
    talk.names(Endpoint, &[]);
    assert_snapshot!(talk.text());
}

#[test]
fn a_listed_kind_says_by_its_absence_that_a_name_does_not_exist() {
    let mut talk = Talk::<Sotw>::new(&pile());
    talk.names(Listener, &["none"]).ack(Listener);
    talk.names(Listener, &["in", "none"]).ack(Listener);
    talk.names(Listener, &[]);
    assert_snapshot!(talk.text());
}

#[test]
fn a_restart_of_the_agent_pushes_nothing_anew() {
    let before = synced(&pile());
    let mut talk = Talk::<Sotw>::new(&pile());
    talk.first(Cluster, &[], &before.version(Cluster));
    talk.first(Endpoint, &["a", "b"], &before.version(Endpoint));
    talk.first(Listener, &[], &before.version(Listener));
    talk.first(Route, &["in"], &before.version(Route));
    assert_snapshot!(talk.text());
}

#[test]
fn what_changed_while_the_agent_was_away_is_sent() {
    let before = synced(&pile());
    let mut talk = Talk::<Sotw>::new(&pile().with(Cluster, "a", 2).with(Route, "in", 2));
    talk.first(Cluster, &[], &before.version(Cluster));
    // Nothing of the endpoints changed, but the cluster of `a` needs them again.
    talk.first(Endpoint, &["a", "b"], &before.version(Endpoint));
    talk.first(Listener, &[], &before.version(Listener));
    talk.first(Route, &["in"], &before.version(Route));
    talk.ack(Endpoint).ack(Endpoint).ack(Cluster).ack(Route);
    assert_snapshot!(talk.text());
}

#[test]
fn endpoints_are_sent_again_after_their_cluster_changed() {
    let mut talk = synced(&pile());
    talk.set(&pile().with(Cluster, "a", 2)).ack(Endpoint).ack(Cluster);
    assert_snapshot!(talk.text());
}

#[test]
fn what_goes_stays_in_the_whole_until_nothing_names_it() {
    let mut talk = synced(&pile());
    let next = Pile::default().service("a", 1).service("c", 1).with(Listener, "in", 1).with(Route, "in", 2);
    talk.set(&next).names(Endpoint, &["a", "b", "c"]).ack(Endpoint).ack(Cluster).ack(Route).ack(Cluster);
    talk.names(Endpoint, &["a", "c"]);
    assert_snapshot!(talk.text());
}

#[test]
fn what_is_refused_stays_as_it_was_and_the_others_arrive() {
    let mut talk = synced(&pile());
    let bad = pile().with(Listener, "in", 2).with(Listener, "other", 1);
    talk.set(&bad).nack(Listener, "in is bad").nack(Listener, "in is bad").ack(Listener);
    talk.set(&bad);
    talk.set(&pile()).ack(Listener);
    assert_snapshot!(talk.text());
}

#[test]
fn a_client_that_never_acknowledges_makes_nothing_pile_up() {
    let mut talk = Talk::<Sotw>::new(&pile());
    talk.names(Cluster, &[]);
    for edition in 2..50 {
        talk.set(&Pile::default().service("a", edition));
    }
    talk.ack(Cluster);
    let text = talk.text().replace("= new set\n= new set\n", "");
    assert_snapshot!(text);
}
