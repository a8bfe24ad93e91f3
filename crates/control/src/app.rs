//! Apps and what is attached to them.

use model::{AppId, AttachmentId};
use rand::RngExt;
use store::{Constraint, StoreError, Tx};

use crate::audit::Entry;
use crate::caller::Caller;
use crate::config_vars;
use crate::problem::Problem;
use crate::{Control, ResourceRef, name};

pub use store::app::App;

/// The name of an app's first attachment; its config vars are `KAFKA_URL` and so on.
const FIRST_NAME: &str = "KAFKA";

/// One resource attached to one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Its name, for instance `KAFKA`.
    pub name: String,
    /// The app.
    pub app: App,
    /// The resource.
    pub resource: model::ResourceId,
    /// The resource's name.
    pub resource_name: String,
    /// The resource's plan.
    pub plan_name: String,
    /// The resource's state.
    pub state: model::resource::State,
    /// The config vars that the app gets by it, in the order in which Heroku's tools expect them.
    pub config_var_names: Vec<String>,
}

/// Which attachments are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentFilter {
    /// All of the account.
    All,
    /// Those of an app, by its name or id.
    App(String),
    /// Those of a resource.
    Resource(ResourceRef),
}

impl Control {
    /// The caller's apps, by name.
    pub async fn apps(&self, caller: &Caller) -> Result<Vec<App>, Problem> {
        let mut tx = self.begin().await?;
        Ok(store::app::of_account(&mut tx, caller.account).await?)
    }

    /// One of the caller's apps, by name or id.
    pub async fn app(&self, caller: &Caller, reference: &str) -> Result<App, Problem> {
        let mut tx = self.begin().await?;
        find(&mut tx, caller, reference).await
    }

    /// Makes an app.
    pub async fn create_app(&self, caller: &Caller, name: &str) -> Result<App, Problem> {
        name::check("name", name)?;
        let now = self.now();
        let app = App { id: AppId(self.draw_id(now)), name: name.to_owned(), created_at: now };
        let mut tx = self.begin().await?;
        store::app::insert(&mut tx, caller.account, &app).await.map_err(|error| match error {
            StoreError::Violates(Constraint::AppName) => {
                Problem::NameTaken { what: "app", name: name.to_owned() }
            }
            other => other.into(),
        })?;
        self.audit_entry(&mut tx, caller, Entry::new("app.create", name)).await?;
        tx.commit().await?;
        Ok(app)
    }

    /// What is attached where, by app and name.
    pub async fn attachments(
        &self,
        caller: &Caller,
        filter: AttachmentFilter,
    ) -> Result<Vec<Attachment>, Problem> {
        let mut tx = self.begin().await?;
        let (app, resource) = match filter {
            AttachmentFilter::All => (None, None),
            AttachmentFilter::App(app) => (Some(find(&mut tx, caller, &app).await?.id), None),
            AttachmentFilter::Resource(resource) => {
                (None, Some(crate::resource::find(&mut tx, caller, &resource).await?.id))
            }
        };
        let attachments = store::app::attachments(&mut tx, caller.account, app, resource).await?;
        Ok(attachments
            .into_iter()
            .map(|attachment| Attachment {
                id: attachment.id,
                config_var_names: config_vars::names(&attachment.name),
                name: attachment.name,
                app: attachment.app,
                resource: attachment.resource,
                resource_name: attachment.resource_name,
                plan_name: attachment.plan_name,
                state: attachment.state,
            })
            .collect())
    }
}

pub(crate) async fn find(tx: &mut Tx, caller: &Caller, reference: &str) -> Result<App, Problem> {
    store::app::find(tx, caller.account, reference).await?.ok_or_else(|| Problem::not_found("app", reference))
}

/// A name for one more attachment of an app: `KAFKA` for the first, as Heroku does, then `HEROKU_KAFKA_<COLOUR>`.
/// Nobody else can take it before the transaction ends.
pub(crate) async fn free_name(tx: &mut Tx, app: AppId) -> Result<String, Problem> {
    const COLOURS: [&str; 24] = [
        "AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "BROWN", "COBALT", "COPPER", "CRIMSON", "CYAN", "GOLD",
        "GRAY", "GREEN", "IVORY", "JADE", "MAROON", "NAVY", "OLIVE", "ORANGE", "PINK", "PURPLE", "ROSE",
        "TEAL", "WHITE",
    ];
    let taken = store::app::attachment_names(tx, app).await?;
    let is_free = |name: &String| !taken.contains(name);
    let first = FIRST_NAME.to_owned();
    if is_free(&first) {
        return Ok(first);
    }
    let start = rand::rng().random_range(0..COLOURS.len());
    let coloured = (0..COLOURS.len())
        .map(|step| format!("HEROKU_KAFKA_{}", COLOURS[(start + step) % COLOURS.len()]))
        .find(is_free);
    // Beyond the colours, numbers; one of the first `taken + 1` is free.
    let numbered = || (1..=taken.len() + 1).map(|number| format!("HEROKU_KAFKA_{number}")).find(is_free);
    coloured
        .or_else(numbered)
        .ok_or_else(|| Problem::Internal { detail: "no attachment name is free".to_owned() })
}
