-- The platform's first tables.
--
-- Conventions, for this and every later file:
--   * Points in time are milliseconds since the Unix epoch, UTC, in columns that end in `_ms`: the same value that
--     every crate uses, so that no driver or session time zone comes between.
--   * States are text with a named CHECK. Constraints that a user can run into are named `<table>_<what>`; the crate
--     `store` turns exactly these names into named errors.
--   * Ids are UUIDs version 7 made by the caller, so that ordering by id is ordering by age and pages need no second
--     column.
--   * Secrets are only ever here as a hash or sealed (see the crate `keyring`).
--   * Later files only add: a column that is no longer used is dropped a release later.

create table accounts (
    id            uuid   primary key,
    name          text   not null,
    created_at_ms bigint not null,
    constraint accounts_name_unique unique (name)
);

create table tokens (
    id            uuid   primary key,
    account_id    uuid   not null references accounts,
    label         text   not null,
    hint          text   not null,
    hash          bytea  not null,
    created_at_ms bigint not null,
    revoked_at_ms bigint,
    constraint tokens_hash_unique unique (hash)
);

create table apps (
    id            uuid   primary key,
    account_id    uuid   not null references accounts,
    name          text   not null,
    created_at_ms bigint not null,
    constraint apps_name_unique unique (account_id, name)
);

-- The catalogue in force. What a plan means is a document (`model::Plan`); what SQL asks about is a column.
create table plans (
    name       text    primary key,
    position   integer not null,
    listed     boolean not null default true,
    definition jsonb   not null
);

-- An add-on as its owner sees it. Rows stay when the resource is gone, so that the audit trail has something to
-- point at; a name is free again then.
create table resources (
    id            uuid   primary key,
    account_id    uuid   not null references accounts,
    name          text   not null,
    plan_name     text   not null references plans,
    region        text   not null,
    state         text   not null,
    message       text   not null,
    created_at_ms bigint not null,
    updated_at_ms bigint not null,
    constraint resources_state check
        (state in ('provisioning', 'ready', 'degraded', 'deprovisioning', 'gone', 'failed'))
);
create unique index resources_name_unique on resources (account_id, name) where state <> 'gone';
create index resources_of_account on resources (account_id, id desc);

create table attachments (
    id            uuid   primary key,
    app_id        uuid   not null references apps,
    resource_id   uuid   not null references resources,
    name          text   not null,
    created_at_ms bigint not null,
    constraint attachments_name_unique unique (app_id, name)
);
create index attachments_of_resource on attachments (resource_id);

-- A Kafka cluster. `generation` is that of its newest intent, `published_generation` the newest that was handed to
-- the agent. `status` is the agent's last word, with its generation and time in columns of their own because the
-- reconciler compares them. A null in `withdrawn_at_ms` means that the agent may still follow the cluster.
create table clusters (
    id                   uuid   primary key,
    resource_id          uuid   not null references resources,
    name                 text   not null,
    generation           bigint not null,
    published_generation bigint not null default 0,
    clients_ca_cert      text   not null,
    clients_ca_key       bytea  not null,
    status               jsonb,
    observed_generation  bigint not null default 0,
    status_at_ms         bigint not null default 0,
    created_at_ms        bigint not null,
    removed_at_ms        bigint,
    withdrawn_at_ms      bigint,
    constraint clusters_name_unique unique (name),
    constraint clusters_resource_unique unique (resource_id)
);
create index clusters_unpublished on clusters (id) where published_generation < generation;

-- What was and is wanted of a cluster. Rows are never changed. Of two concurrent changes of one cluster the second
-- finds its generation taken, because both name the same parent.
create table intents (
    cluster_id    uuid   not null references clusters,
    generation    bigint not null,
    parent        bigint,
    body          jsonb  not null,
    created_at_ms bigint not null,
    constraint intents_generation_unique primary key (cluster_id, generation),
    constraint intents_parent_is_previous check (generation = coalesce(parent, 0) + 1)
);

create table operations (
    id             uuid   primary key,
    account_id     uuid   not null references accounts,
    resource_id    uuid   not null references resources,
    cluster_id     uuid   not null references clusters,
    kind           text   not null,
    generation     bigint not null,
    state          text   not null,
    waiting        jsonb  not null default '[]',
    failure        jsonb,
    created_at_ms  bigint not null,
    updated_at_ms  bigint not null,
    finished_at_ms bigint,
    constraint operations_kind check (kind in ('provision', 'deprovision', 'change')),
    constraint operations_state check (state in ('pending', 'running', 'succeeded', 'failed')),
    constraint operations_finished check ((finished_at_ms is not null) = (state in ('succeeded', 'failed')))
);
create index operations_of_account on operations (account_id, id desc);
create index operations_of_resource on operations (resource_id, id desc);
create index operations_unfinished on operations (cluster_id) where finished_at_ms is null;

create table operation_steps (
    operation_id   uuid     not null references operations on delete cascade,
    position       smallint not null,
    name           text     not null,
    state          text     not null,
    message        text     not null,
    started_at_ms  bigint,
    finished_at_ms bigint,
    primary key (operation_id, position),
    constraint operation_steps_state check (state in ('pending', 'running', 'succeeded', 'failed'))
);

-- What was said about a cluster, kept when it changes in a way that a person would notice. Pruned by age.
create table observations (
    cluster_id uuid   not null references clusters,
    at_ms      bigint not null,
    generation bigint not null,
    summary    text   not null,
    status     jsonb  not null,
    primary key (cluster_id, at_ms)
);

-- Client certificates that were handed out. The key is kept, sealed, because an app's config vars can be read again.
create table credentials (
    id            uuid   primary key,
    resource_id   uuid   not null references resources,
    cluster_id    uuid   not null references clusters,
    name          text   not null,
    fingerprint   text   not null,
    cert          text   not null,
    key           bytea  not null,
    created_at_ms bigint not null,
    expires_at_ms bigint not null,
    revoked_at_ms bigint
);
create unique index credentials_name_unique on credentials (resource_id, name) where revoked_at_ms is null;

-- Work that is retried until it is done. A worker takes a job by moving `run_after_ms` past the time that it may need;
-- if the worker dies, the job is due again by itself. At most one unfinished job for each subject of a cluster.
create table jobs (
    id             uuid    primary key,
    cluster_id     uuid    not null references clusters,
    subject        text    not null,
    kind           text    not null,
    payload        jsonb   not null,
    state          text    not null,
    attempts       integer not null default 0,
    run_after_ms   bigint  not null,
    last_error     text,
    created_at_ms  bigint  not null,
    finished_at_ms bigint,
    constraint jobs_state check (state in ('queued', 'done', 'dead')),
    constraint jobs_finished check ((finished_at_ms is not null) = (state <> 'queued'))
);
create unique index jobs_subject_unique on jobs (cluster_id, subject) where state = 'queued';
create index jobs_due on jobs (run_after_ms) where state = 'queued';
create index jobs_finished_at on jobs (finished_at_ms) where state <> 'queued';

-- Effects that must follow a commit and must not be lost: written by the transaction that causes them, removed when
-- they have happened. Delivered at least once, in order for each cluster.
create table outbox (
    position      bigint generated always as identity primary key,
    cluster_id    uuid    not null references clusters,
    effect        text    not null,
    attempts      integer not null default 0,
    run_after_ms  bigint  not null,
    created_at_ms bigint  not null,
    constraint outbox_effect check (effect in ('withdraw'))
);

-- Answers to POST requests that carried an Idempotency-Key. `answer` names what was made, not its state.
create table idempotency_keys (
    account_id    uuid   not null references accounts,
    key           text   not null,
    fingerprint   bytea  not null,
    answer        jsonb,
    created_at_ms bigint not null,
    primary key (account_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at_ms);

-- Who changed what. Written in the transaction of the change; never changed, never deleted. No foreign key except the
-- account: the trail outlives what it speaks of.
create table audit_events (
    id          uuid   primary key,
    account_id  uuid   not null references accounts,
    at_ms       bigint not null,
    actor       text   not null,
    action      text   not null,
    subject     text   not null,
    resource_id uuid,
    generation  bigint,
    address     text,
    request_id  text,
    detail      jsonb  not null
);
create index audit_events_of_account on audit_events (account_id, id desc);

-- Who may do what only one process may do at a time. The generation rises with every new holder; a write of an old
-- holder is refused by it. Expiry is by the clock of Postgres, the one clock that all holders share.
create table leases (
    name       text        primary key,
    holder     uuid        not null,
    generation bigint      not null,
    expires_at timestamptz not null
);
