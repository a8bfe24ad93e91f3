//! The console: pages for people in a browser, over the same use cases as the API.
//!
//! **What for.** Sign in with an API token, see one's add-ons and their state, and see it change. Pages are complete
//! HTML from the server; htmx only replaces the regions that change, so every page works without JavaScript (it then
//! reloads itself), with a keyboard, and under a Content-Security-Policy that allows nothing inline.
//!
//! **What it does not know.** SQL, brokers, Kubernetes, and how a decision is made: it asks `control` and shows what it
//! says. It has no state of its own but the signed session in the browser's cookie.
//!
//! **Invariants.** GET changes nothing. A mutation is refused unless the browser says that it comes from our own page
//! ([`guard`]). One URL has one handler and one template: a request for a part ([`live`]) gets a block of the same
//! template that the whole page is made of. Every block says as of when it is.
//!
//! **To add a page**: a module with its handler, a template that extends `frame.html`, a route here.

mod assets;
mod failure;
mod guard;
mod live;
mod resources;
mod session;
mod sign_in;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::{get, post};
use control::Control;
use keyring::seal::MasterKey;
use model::Timestamp;

use crate::session::Sessions;

/// What handlers need.
#[derive(Clone)]
struct Console {
    control: Control,
    sessions: Arc<Sessions>,
    now: fn() -> Timestamp,
}

/// All pages. `key` signs sessions: whoever starts the server with the same key keeps its people signed in.
pub fn router(control: Control, key: &MasterKey, now: fn() -> Timestamp) -> Router {
    let console = Console { control, sessions: Arc::new(Sessions::signed_with(key)), now };
    Router::new()
        .route("/", get(|| async { Redirect::to("/resources") }))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/resources", get(resources::list))
        .route("/assets/{name}", get(assets::asset))
        .layer(from_fn(guard::guard))
        .with_state(console)
}
