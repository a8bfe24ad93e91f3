//! The operator: clusters on Kubernetes, kept as their objects want them.
//!
//! It owns the pods itself, since the order of what happens to brokers is the product. The order comes from
//! [`agent::Machine`], the same that runs behind child processes and in simulation; this crate is its eyes and hands.
//! Start reading at [`run`], then:
//!
//! - fetching is [`caches`] over [`shelf`], fed by [`watching`]; an idle cluster costs no request;
//! - [`valid`] validates an object; nothing after it looks at a raw specification;
//! - [`observe`] turns objects into an [`model::Observed`]: pure;
//! - [`reach`] tries the address that clients of a broker are sent to;
//! - [`substrate`] asks brokers how they are and performs the machine's actions on pods and claims;
//! - [`build`] says what each kind of object looks like, one file a kind: pure; [`apply`] hands it to the server;
//! - [`controller`] is the pass over one object: it validates, hands the intent to the agent, lets [`upkeep`] put right
//!   what has no order, and writes the [`status`];
//! - [`authority`] keeps the cluster's certificate authorities, [`lease`] lets one operator work at a time.
//!
//! kube's `applier` schedules the passes over what [`objects`] finds; the agents run beside it as they do everywhere else,
//! because an action on a broker may take a minute and must not keep its cluster from being looked at.
//!
//! What it deliberately does not know: Postgres, the REST interface, Kafka's protocol, and what to do next.
//!
//! Invariants:
//! - Nothing is deleted on what a cache shows: it is read anew, and the deletion names the uid and version that was read.
//! - What could not be seen is a gap, and nothing is done about it. A node that does not report is such a gap.
//! - A pod's name is its broker's id, so Kubernetes itself keeps a broker from running twice.
//! - No object that belongs to somebody else is changed, whatever its name.
//! - A status is written and never decided upon.
//! - Ready means reached: a connection through the address that clients are sent to came about once since the broker's
//!   start, or was waited for as long as `planner` says.
//!
//! What becomes of a cluster whose object is deleted: its pods, services and configuration go. Its claims and the secrets
//! with its authorities stay unless `deletion: Delete` was asked for, and each claim remembers its broker's port. An
//! object of the same name that names the id of the deleted one as its `clusterId` takes all of it up, and clients go on
//! with the addresses and certificates that they have. Who wants to be rid of it deletes what carries the id:
//! `kubectl delete pvc,secret -l penstock.dev/cluster-id=ID`.
//!
//! Certificates: a broker's is made anew with each pod and a pod is replaced, in turn, before it ends; a client's secret
//! is written anew. The authorities themselves live ten years and have no successor yet.
//!
//! Not offered: addresses of load balancers, and clusters whose pods have IPv6 addresses first.
//!
//! The rules for operators that Penstock set itself, and the test of each:
//!
//! | rule | held by |
//! | --- | --- |
//! | 1 one voluntary disruption at a time | `planner::verify` in every decision of every test; `sim` scenarios |
//! | 2 identity from the broker, selection by what never changes | `tests::observing::an_answer_counts_only_from_the_pod_that_was_asked`, `tests::manifests::selectors_name_only_what_never_changes` |
//! | 3 read anew before a deletion, with preconditions | `tests::requests::a_restart_reads_anew_and_names_what_it_deletes` |
//! | 4 ask before a restart; unknown is no | `planner` (a silent broker is not restarted), `tests::requests::a_broker_that_checks_its_logs_is_not_stopped`; partitions at risk: comes with replication |
//! | 5 unready first, the leader last | `planner::tests`; the leader: comes with replication |
//! | 6 a recovering broker is never restarted | `tests::requests::a_broker_that_checks_its_logs_is_not_stopped`, `planner::verify` |
//! | 7 a newer spec is tried on the broken pod first | `planner::tests::a_change_is_tried_at_once_on_what_is_held_up` |
//! | 8 a roll resumes; waiting is a condition | `planner` reads it from the fingerprints of pods; `tests::statuses::an_event_is_told_once_for_each_change_of_reason` |
//! | 9 pause and windows | `tests::requests::a_paused_cluster_is_left_alone`; windows: come with replication |
//! | 10 only what needs a restart restarts | `model::action::tests::only_what_needs_a_restart_changes_it`; dynamic settings: come with replication |
//! | 11 binary first, feature level later | comes with replication; CEL keeps the level from falling: `crd::tests::rules` |
//! | 12 an operator's upgrade restarts nobody | `tests::manifests::another_image_for_a_release_restarts_nobody` |
//! | 13 a lost node: nothing is forced | `tests::observing::a_node_that_does_not_report_is_a_gap` |
//! | 14 scale in drains first | comes with replication; until then a broker that is not wanted is left alone: `planner::tests` |
//! | 15 claims are deleted last, and only on removal | `tests::requests::data_is_deleted_only_when_no_pod_runs`, `tests::manifests::data_and_authorities_outlive_the_object_unless_told_otherwise` |
//! | 16 deleting a cluster waits for nobody | no finalizer exists: `tests::manifests::nothing_holds_up_a_deletion` |
//! | 17 authorities change in phases | a deleted one is put back: `tests::requests::a_deleted_authority_is_put_back`; a retained one comes again: `tests::requests::a_cluster_that_comes_again_has_its_data_its_ports_and_its_authority`; phases: come with replication |
//! | 18 refusals are counted by reason | `tests::requests::a_refusal_is_counted_by_its_reason` |

pub mod admin;
pub mod apply;
pub mod authority;
pub mod build;
pub mod caches;
pub mod clusters;
pub mod controller;
pub mod error;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod objects;
pub mod observe;
pub mod reach;
pub mod run;
pub mod settings;
pub mod shelf;
pub mod status;
pub mod substrate;
pub mod upkeep;
pub mod valid;
pub mod watching;

#[cfg(test)]
mod tests;
