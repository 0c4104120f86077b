//! What operators may: some look and change nothing.

use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::{
    AttachPolicyRequest, ConfirmSourceRequest, CreateOperatorRequest, CreateTokenRequest,
    DeliverAuthoritiesRequest, GetFleetRequest, GetSiteRequest, GetTrustRequest, GetTrustRootRequest,
    ListOperatorsRequest, ListSigningRequestsRequest, RevokeOperatorRequest, RevokeSiteRequest,
    RotateKeyRequest, SetPolicyKeysRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::rig::shop;

/// What was asked for, and whether it was refused to who asked.
type Asked = (&'static str, bool);

fn asked<T>(what: &'static str, answer: Result<Response<T>, Status>) -> Asked {
    (what, answer.err().is_some_and(|status| status.code() == Code::PermissionDenied))
}

/// Every call that changes something; none of these does, since they ask for nothing.
async fn changes(mut fleet: FleetClient<Channel>) -> Vec<Asked> {
    vec![
        asked("confirm", fleet.confirm_source(ConfirmSourceRequest::default()).await),
        asked("enrol", fleet.create_token(CreateTokenRequest::default()).await),
        asked("revoke a site", fleet.revoke_site(RevokeSiteRequest::default()).await),
        asked("rotate", fleet.rotate_key(RotateKeyRequest::default()).await),
        asked("attach", fleet.attach_policy(AttachPolicyRequest::default()).await),
        asked("policy keys", fleet.set_policy_keys(SetPolicyKeysRequest::default()).await),
        asked("deliver", fleet.deliver_authorities(DeliverAuthoritiesRequest::default()).await),
        asked("make an operator", fleet.create_operator(CreateOperatorRequest::default()).await),
        asked("revoke an operator", fleet.revoke_operator(RevokeOperatorRequest::default()).await),
    ]
}

/// Every call that changes nothing.
async fn looks(mut fleet: FleetClient<Channel>) -> Vec<Asked> {
    vec![
        asked("the fleet", fleet.get_fleet(GetFleetRequest::default()).await),
        asked("a site", fleet.get_site(GetSiteRequest::default()).await),
        asked("trust", fleet.get_trust(GetTrustRequest::default()).await),
        asked("the trust root", fleet.get_trust_root(GetTrustRootRequest::default()).await),
        asked("requests", fleet.list_signing_requests(ListSigningRequestsRequest::default()).await),
        asked("operators", fleet.list_operators(ListOperatorsRequest::default()).await),
    ]
}

fn refused(all: &[Asked]) -> Vec<&str> {
    all.iter().filter(|(_, is_refused)| *is_refused).map(|(what, _)| *what).collect()
}

/// A call that is added is added here, too.
#[test]
fn every_call_is_one_that_changes_something_or_one_that_does_not() {
    let proto = include_str!("../../../proto/skerry/sync/v1/fleet.proto");
    assert_eq!(proto.matches("\n  rpc ").count(), 9 + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_sees_everything_and_changes_nothing() {
    let (_shop, core) = shop().await;
    let viewer = core.viewer().await;
    let all = changes(viewer.clone()).await;
    assert_eq!((refused(&all).len(), all.len()), (9, 9), "{all:?}");
    let seen = looks(viewer.clone()).await;
    assert_eq!((refused(&seen).len(), seen.len()), (0, 6), "{seen:?}");

    let all = changes(core.fleet()).await;
    assert_eq!(refused(&all), [""; 0], "others may");
    let listed = core.fleet().list_operators(ListOperatorsRequest::default()).await.unwrap().into_inner();
    let kinds: Vec<_> = listed.operators.iter().map(|row| (row.name.as_str(), row.is_read_only)).collect();
    assert_eq!(kinds, [("admin", false), ("viewer", true)]);
    core.stop().await;
}
