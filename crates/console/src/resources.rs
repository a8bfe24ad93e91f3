//! The add-ons of an account: which there are, and whether they run.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use control::{Page as Part, Resource};
use model::Timestamp;
use serde::Deserialize;

use crate::Console;
use crate::failure::Failure;
use crate::live::{VARY, Wanted};
use crate::session::SignedIn;
use crate::words::{self, Status};

/// Without JavaScript the whole page reloads itself; people read it meanwhile, so not too often.
const RELOAD_SECONDS: u32 = 10;

#[derive(Deserialize)]
pub(crate) struct Place {
    /// The last add-on of the page before.
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "resources.html", blocks = ["region"])]
struct Page {
    title: &'static str,
    signed_in_as: Option<String>,
    reload_seconds: Option<u32>,
    /// The page's own URL.
    here: String,
    summary: String,
    rows: Vec<Row>,
    is_first: bool,
    next: Option<String>,
    as_of: String,
    as_of_machine: String,
}

struct Row {
    name: String,
    app: String,
    plan: String,
    status: Status,
    message: String,
    brokers: String,
    kafka_url: Option<String>,
    changed: String,
    changed_machine: String,
    changed_ago: String,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(caller): SignedIn,
    Query(place): Query<Place>,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let after = match &place.after {
        Some(text) => Some(text.parse().map_err(|_| control::Problem::Invalid {
            field: "after",
            message: format!("{text:?} is no id of an add-on; go back to the first page"),
        })?),
        None => None,
    };
    let part = console.control.resources(&caller, Part { after, ..Part::default() }).await?;
    let now = (console.now)();
    let is_first = after.is_none();
    let page = Page {
        title: "Add-ons",
        signed_in_as: Some(caller.account_name),
        reload_seconds: Some(RELOAD_SECONDS),
        here: after.map_or_else(|| "/resources".to_owned(), |after| format!("/resources?after={after}")),
        summary: summary(&part.items, is_first && part.next.is_none()),
        rows: part.items.iter().map(|resource| row(resource, now)).collect(),
        is_first,
        next: part.next.map(|id| format!("/resources?after={id}")),
        as_of: words::time(now),
        as_of_machine: now.rfc3339(),
    };
    let html = match wanted {
        Wanted::Page => page.render()?,
        Wanted::Region => page.as_region().render()?,
    };
    Ok(([(header::VARY, VARY)], Html(html)).into_response())
}

fn row(resource: &Resource, now: Timestamp) -> Row {
    Row {
        name: resource.name.clone(),
        app: resource.app.as_ref().map_or_else(|| "–".to_owned(), |app| app.name.clone()),
        plan: resource.plan.name.clone(),
        status: words::status(resource.state),
        message: resource.message.clone(),
        brokers: resource.plan.brokers.to_string(),
        kafka_url: resource.kafka_url(),
        changed: words::time(resource.updated_at),
        changed_machine: resource.updated_at.rfc3339(),
        changed_ago: words::span(now.since(resource.updated_at)),
    }
}

/// The first line answers: how many, and whether one of them needs a look.
fn summary(resources: &[Resource], is_everything: bool) -> String {
    let here = if is_everything { "" } else { " on this page" };
    let running = resources.iter().filter(|one| one.state == model::resource::State::Ready).count();
    match (resources.len(), running) {
        (0, _) => format!("There are no add-ons{here}."),
        (1, 1) => format!("1 add-on{here}; it runs."),
        (all, running) if all == running => format!("{all} add-ons{here}; all of them run."),
        (all, running) => {
            format!("{all} add-on{}{here}; {running} of them run.", if all == 1 { "" } else { "s" })
        }
    }
}
