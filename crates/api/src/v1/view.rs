//! The domain's values as bodies of the API. Nothing is decided here.

use api_types::{app, audit, credential, operation, plan, resource, topic};
use control::{App, AuditEvent, Credential, CredentialState, IssuedCredential, Resource, Topic, TopicState};
use model::condition::Truth;
use model::status::BrokerStatus;
use model::{Operation, Plan, Timestamp};
use secrecy::ExposeSecret;

pub(super) fn plan(plan: &Plan) -> plan::Plan {
    plan::Plan {
        name: plan.name.clone(),
        family: match plan.family {
            model::plan::Family::Dev => "dev",
            model::plan::Family::Basic => "basic",
            model::plan::Family::Standard => "standard",
            model::plan::Family::Extended => "extended",
        }
        .to_owned(),
        brokers: plan.brokers,
        price_cents: plan.price_cents,
        limits: plan::Limits {
            max_topics: plan.limits.max_topics,
            max_partition_replicas: plan.limits.max_partition_replicas,
            max_partitions_per_topic: plan.limits.max_partitions_per_topic,
            data_size_bytes: plan.limits.data_size.0,
            min_retention_ms: plan.limits.min_retention_ms,
            max_retention_ms: plan.limits.max_retention_ms,
        },
        topic_defaults: plan::TopicDefaults {
            partitions: plan.topic_defaults.partitions,
            replication_factor: plan.topic_defaults.replication_factor,
            retention_ms: plan.topic_defaults.retention_ms,
        },
    }
}

pub(super) fn app(app: &App) -> app::App {
    app::App { id: app.id.0, name: app.name.clone(), created_at: time(app.created_at) }
}

pub(super) fn resource(resource: &Resource) -> resource::Resource {
    let status = resource.status.as_ref();
    resource::Resource {
        id: resource.id.0,
        name: resource.name.clone(),
        plan: resource.plan.name.clone(),
        region: resource.region.clone(),
        state: resource_state(resource.state),
        message: resource.message.clone(),
        app: resource.app.as_ref().map(|app| app.name.clone()),
        attachment: resource.attachment.clone(),
        cluster: resource::Cluster {
            id: resource.cluster.0,
            name: resource.cluster_name.clone(),
            release: resource.release.to_string(),
            bootstrap: resource.bootstrap().iter().map(ToString::to_string).collect(),
            kafka_url: resource.kafka_url(),
            brokers: status.map(|status| status.brokers.iter().map(broker).collect()).unwrap_or_default(),
            seen_at: status.map(|status| time(status.at)),
        },
        generation: resource.generation.0,
        operation: resource.operation.map(|operation| operation.0),
        created_at: time(resource.created_at),
        updated_at: time(resource.updated_at),
    }
}

fn resource_state(state: model::resource::State) -> resource::State {
    use model::resource::State;
    match state {
        State::Provisioning => resource::State::Provisioning,
        State::Ready => resource::State::Ready,
        State::Degraded => resource::State::Degraded,
        State::Deprovisioning => resource::State::Deprovisioning,
        State::Gone => resource::State::Gone,
        State::Failed => resource::State::Failed,
    }
}

fn broker(broker: &BrokerStatus) -> resource::Broker {
    resource::Broker {
        id: broker.id.0,
        ready: match broker.ready {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        },
        reason: format!("{:?}", broker.reason),
        message: broker.message.clone(),
        endpoint: broker.endpoint.as_ref().map(ToString::to_string),
        restarts: broker.restarts,
    }
}

pub(super) fn operation(operation: &Operation) -> operation::Operation {
    use model::operation::Kind;
    operation::Operation {
        id: operation.id.0,
        kind: match operation.kind {
            Kind::Provision => operation::Kind::Provision,
            Kind::Deprovision => operation::Kind::Deprovision,
            Kind::Change => operation::Kind::Change,
        },
        resource: operation.resource.0,
        resource_name: operation.resource_name.clone(),
        generation: operation.generation.0,
        state: operation_state(operation.state),
        steps: operation
            .steps
            .iter()
            .map(|step| operation::Step {
                name: step.name.clone(),
                state: operation_state(step.state),
                message: step.message.clone(),
                started_at: step.started_at.map(time),
                finished_at: step.finished_at.map(time),
            })
            .collect(),
        waiting: operation
            .waiting
            .iter()
            .map(|waiting| operation::Waiting {
                broker: waiting.broker.map(|broker| broker.0),
                reason: format!("{:?}", waiting.reason),
                message: waiting.message.clone(),
                since: time(waiting.since),
            })
            .collect(),
        failure: operation.failure.as_ref().map(|failure| operation::Failure {
            reason: failure.reason.clone(),
            message: failure.message.clone(),
        }),
        created_at: time(operation.created_at),
        updated_at: time(operation.updated_at),
        finished_at: operation.finished_at.map(time),
    }
}

fn operation_state(state: model::operation::State) -> operation::State {
    use model::operation::State;
    match state {
        State::Pending => operation::State::Pending,
        State::Running => operation::State::Running,
        State::Succeeded => operation::State::Succeeded,
        State::Failed => operation::State::Failed,
    }
}

pub(super) fn topic(topic: &Topic) -> topic::Topic {
    topic::Topic {
        name: topic.name.clone(),
        state: match topic.state {
            TopicState::Creating => topic::State::Creating,
            TopicState::Ready => topic::State::Ready,
            TopicState::Deleting => topic::State::Deleting,
            TopicState::Failed => topic::State::Failed,
        },
        message: topic.message.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        retention_ms: topic.retention_ms,
        compaction: topic.compaction,
        internal: topic.internal,
    }
}

pub(super) fn credential(credential: &Credential) -> credential::Credential {
    credential::Credential {
        id: credential.id.0,
        name: credential.name.clone(),
        state: match credential.state {
            CredentialState::Active => credential::State::Active,
            CredentialState::Revoked => credential::State::Revoked,
        },
        fingerprint_sha256: credential.fingerprint_sha256.clone(),
        created_at: time(credential.created_at),
        expires_at: time(credential.expires_at),
        revoked_at: credential.revoked_at.map(time),
    }
}

pub(super) fn issued_credential(issued: &IssuedCredential) -> credential::IssuedCredential {
    credential::IssuedCredential {
        credential: credential(&issued.credential),
        cert_pem: issued.cert_pem.clone(),
        key_pem: issued.key_pem.expose_secret().to_owned(),
        ca_pem: issued.cluster_ca_pem.clone(),
    }
}

pub(super) fn audit_event(event: &AuditEvent) -> audit::Event {
    audit::Event {
        id: event.id.0,
        at: time(event.at),
        actor: event.actor.clone(),
        action: event.action.clone(),
        subject: event.subject.clone(),
        resource: event.resource.map(|resource| resource.0),
        generation: event.generation.map(|generation| generation.0),
        address: event.origin.address.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    }
}

fn time(at: Timestamp) -> String {
    at.rfc3339()
}
