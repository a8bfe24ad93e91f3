//! Provisioning: a plan by name becomes a resource, a cluster, an intent, a credential and an operation, all in one
//! transaction. Nothing runs yet when it commits; the reconciler hands the intent to an agent.

use keyring::pki::Ca;
use model::operation::{Kind, Operation};
use model::{AttachmentId, ClusterId, OperationId, ResourceId, Timestamp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Constraint, StoreError, Tx};

use crate::audit::Entry;
use crate::caller::Caller;
use crate::idempotency::Request;
use crate::problem::Problem;
use crate::{Control, Resource, ResourceRef, app, credential, intent, name, operation, plan, resource};

/// How often another invented name is tried when one is taken. Two in a row are taken once in 10^8 times even with a
/// thousand resources in the account.
const INVENTED_NAME_TRIES: u32 = 5;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateResource {
    /// A name; one is invented if there is none.
    pub name: Option<String>,
    /// The app to attach it to, by name or id.
    pub app: Option<String>,
    /// The plan, with or without the add-on's slug in front.
    pub plan: String,
    /// Where it is to run; the installation's region if none is given.
    pub region: Option<String>,
}

/// Something that was accepted and will take time.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What to follow.
    pub operation: Operation,
    /// The resource as it is now.
    pub resource: Resource,
}

/// What an idempotency key remembers.
#[derive(Serialize, Deserialize)]
struct Made {
    resource: ResourceId,
    operation: OperationId,
}

impl Control {
    /// Accepts a new resource.
    pub async fn create_resource(
        &self,
        caller: &Caller,
        wanted: &CreateResource,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, Problem> {
        if let Some(name) = &wanted.name {
            name::check("name", name)?;
        }
        let region = self.region(wanted.region.as_deref())?;
        let request = Request::new(idempotency_key, "create_resource", wanted)?;
        let mut tries = INVENTED_NAME_TRIES;
        loop {
            let name = wanted.name.clone().unwrap_or_else(|| name::invent(&mut rand::rng()));
            match self.create_named(caller, wanted, &name, region, &request).await {
                Err(Problem::NameTaken { .. }) if wanted.name.is_none() && tries > 1 => tries -= 1,
                done => return done,
            }
        }
    }

    async fn create_named(
        &self,
        caller: &Caller,
        wanted: &CreateResource,
        name: &str,
        region: &str,
        request: &Request<'_>,
    ) -> Result<Accepted, Problem> {
        let mut tx = self.begin().await?;
        if let Some(made) = self.claim::<Made>(&mut tx, caller, request).await? {
            return accepted(&mut tx, caller, made.resource, made.operation).await;
        }
        let now = self.now();
        let plan = plan::find(&mut tx, &wanted.plan).await?;
        let app = match &wanted.app {
            Some(reference) => Some(app::find(&mut tx, caller, reference).await?),
            None => None,
        };

        let id = ResourceId(self.draw_id(now));
        let row = store::resource::NewResource {
            id,
            account: caller.account,
            name: name.to_owned(),
            plan_name: plan.name.clone(),
            region: region.to_owned(),
            message: "accepted; its brokers are about to be started".to_owned(),
            created_at: now,
        };
        store::resource::insert(&mut tx, &row).await.map_err(|error| match error {
            StoreError::Violates(Constraint::ResourceName) => {
                Problem::NameTaken { what: "resource", name: name.to_owned() }
            }
            other => other.into(),
        })?;
        self.insert_cluster(&mut tx, id, name, &plan, now).await?;
        if let Some(app) = &app {
            let attachment = app::free_name(&mut tx, app.id).await?;
            let attachment_id = AttachmentId(self.draw_id(now));
            store::app::attach(&mut tx, attachment_id, app.id, id, &attachment, now).await?;
        }

        let resource = resource::find(&mut tx, caller, &ResourceRef::Id(id)).await?;
        let operation = operation::begin(OperationId(self.draw_id(now)), Kind::Provision, &resource, now);
        store::operation::insert(&mut tx, caller.account, &operation).await?;
        let detail = json!({ "plan": plan.name, "app": app.map(|app| app.name), "operation": operation.id });
        self.audit_entry(&mut tx, caller, Entry::new("resource.create", name).on(&resource).detail(detail))
            .await?;
        self.remember(&mut tx, caller, request, &Made { resource: id, operation: operation.id }).await?;
        store::wake::reconciler(&mut tx).await?;
        let answer = accepted(&mut tx, caller, id, operation.id).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// A cluster with its clients' authority, its first intent and the credential that config vars show.
    async fn insert_cluster(
        &self,
        tx: &mut Tx,
        resource: ResourceId,
        resource_name: &str,
        plan: &model::Plan,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let id = ClusterId(self.draw_id(now));
        // The last digits of the id are random ones; its first are the time, which neighbours share.
        let digits = id.0.simple().to_string();
        let name = format!("{resource_name}-{}", &digits[digits.len() - 10..]);
        let ca = Ca::new(&format!("{name} clients"), now).map_err(|error| Problem::internal(&error))?;
        let sealed_key = self
            .inner
            .master_key
            .seal(&credential::ca_key_context(id), ca.key_pem().expose_secret().as_bytes());
        let settings = &self.inner.settings;
        let intent = intent::first(
            id,
            name.clone(),
            plan,
            settings.release.clone(),
            settings.feature_level,
            ca.cert_pem().to_owned(),
        );
        let row = store::cluster::NewCluster {
            id,
            resource,
            name,
            clients_ca_cert: ca.cert_pem().to_owned(),
            clients_ca_key: sealed_key,
            created_at: now,
        };
        store::cluster::insert(tx, &row, &intent).await?;
        let first = self.issue(&ca, resource, id, credential::DEFAULT_NAME, now)?;
        Ok(store::credential::insert(tx, &first).await?)
    }

    fn region<'a>(&'a self, wanted: Option<&str>) -> Result<&'a str, Problem> {
        let ours = self.inner.settings.region.as_str();
        match wanted {
            Some(region) if region != ours => Err(Problem::invalid(
                "region",
                format!("there is no region {region:?}; this installation is {ours:?}"),
            )),
            _ => Ok(ours),
        }
    }
}

/// The answer to a request that made something, read from the store.
async fn accepted(
    tx: &mut Tx,
    caller: &Caller,
    resource: ResourceId,
    operation: OperationId,
) -> Result<Accepted, Problem> {
    let operation = operation::find(tx, caller, operation).await?;
    // Not `resource::find`: the repetition of an old request may find what it made already removed.
    let row = store::resource::by_id(tx, caller.account, resource).await?;
    let resource = row.ok_or_else(|| Problem::not_found("resource", resource))?.into();
    Ok(Accepted { operation, resource })
}
