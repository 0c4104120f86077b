//! The xDS session against scripted clients: one case for each thing that a client may do, as a
//! transcript. And against a model of Envoy that does anything in any order.
//!
//! What Envoy's "xDS REST and gRPC protocol" says, and the cases that hold it (in `delta`, and in `sotw`
//! where the same words or these stand):
//!
//! | section | rule | case |
//! | --- | --- | --- |
//! | Resource updates | a stale nonce is not answered (SotW) | `a_stale_nonce_is_ignored` |
//! | Incremental xDS | a stale nonce changes no subscription wrongly: its names count | `an_acknowledgement_is_not_answered_and_a_stale_nonce_changes_nothing` |
//! | How the client specifies what resources to return | no names at first: everything; `*`; names beside it | `names_and_wildcard_live_side_by_side`, `the_first_wildcard_answer_is_sent_even_when_empty` |
//! | the same | once something was named, no names stand for nothing (SotW) | `a_listed_kind_says_by_its_absence_that_a_name_does_not_exist` |
//! | the same | what is newly asked for is sent, though it was sent before | `names_come_and_go_and_come_again` |
//! | Incremental xDS | the legacy wildcard has neither list | `a_first_request_that_gives_something_up_asks_for_nothing` |
//! | the same | `initial_resource_versions`: nothing that is held; what changed; what is gone | `a_restart_of_the_agent_pushes_nothing_anew`, `what_changed_while_the_agent_was_away_is_sent_and_removed` |
//! | Subscribing to Resources | a name that is asked for again is answered again | `named_subscriptions_are_answered_also_when_there_is_nothing_or_it_is_known` |
//! | Unsubscribing from Resources | a name that `*` covers is answered when it is given up | `a_name_that_everything_still_covers_is_answered_when_it_is_given_up` |
//! | Knowing When a Requested Resource Does Not Exist | `removed_resources` | `named_subscriptions_are_answered_also_when_there_is_nothing_or_it_is_known` |
//! | Grouping Resources into Responses | all clusters and listeners in each response (SotW) | `what_goes_stays_in_the_whole_until_nothing_names_it` |
//! | Resource warming | endpoints follow their changed cluster | `endpoints_are_sent_again_after_their_cluster_changed` |
//! | Eventual consistency considerations | make before break | `a_proxy_comes_up_in_order`, `what_goes_goes_last_and_in_turn`, `model` |
//! | ACK and NACK semantics summary | a refusal concerns its own kind; no loop | `a_refused_version_is_not_sent_again_and_hurts_no_other_kind`, `one_bad_resource_among_many_is_found_and_the_others_arrive` |
//! | When to send an update | only what changed; the newest to a slow client | `a_client_that_never_acknowledges_makes_nothing_pile_up` |

mod delta;
mod model;
mod pile;
mod proxy;
mod sotw;
mod transcript;
mod wire;
