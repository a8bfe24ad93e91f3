//! Client certificates with which programs connect.

use api_types::credential::{Credential, IssuedCredential, NewCredential};
use api_types::page::List;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::{IntoResponse, Response};
use control::{Control, ResourceRef};
use model::CredentialId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::{Problem, registry};
use crate::request::body::Json;
use crate::request::caller::Authenticated;
use crate::request::precondition::IdempotencyKey;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials, create_credential))
        .routes(routes!(revoke_credential))
}

/// All credentials that were handed out, without their keys.
#[utoipa::path(
    get, path = "/v1/resources/{resource}/credentials", tag = "credentials",
    params(("resource" = String, Path, description = "The resource's name or id")),
    responses((status = 200, description = "The credentials", body = List<Credential>)))]
async fn list_credentials(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
) -> Result<axum::Json<List<Credential>>, Problem> {
    let credentials = control.credentials(&caller, &ResourceRef::from(resource.as_str())).await?;
    Ok(axum::Json(List { items: credentials.iter().map(view::credential).collect() }))
}

/// Makes a credential. Its key is in this answer and in no other.
#[utoipa::path(
    post, path = "/v1/resources/{resource}/credentials", tag = "credentials", request_body = NewCredential,
    params(("resource" = String, Path, description = "The resource's name or id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key gives the same credential")),
    responses((status = 201, description = "The credential with its key", body = IssuedCredential,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_credential(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Json(wish): Json<NewCredential>,
) -> Result<Response, Problem> {
    let reference = ResourceRef::from(resource.as_str());
    let issued = control.create_credential(&caller, &reference, &wish.name, key.as_deref()).await?;
    let location = format!("/v1/resources/{resource}/credentials/{}", issued.credential.id);
    let head = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, head, axum::Json(view::issued_credential(&issued))).into_response())
}

/// Takes a credential back. The brokers are restarted one after the other to refuse it, which the resource's operation
/// follows. The default credential is replaced at once; the config vars show the new one.
#[utoipa::path(
    delete, path = "/v1/resources/{resource}/credentials/{credential}", tag = "credentials",
    params(("resource" = String, Path, description = "The resource's name or id"), ("credential" = Uuid, Path, description = "The credential's id")),
    responses((status = 200, description = "The credential, revoked", body = Credential)))]
async fn revoke_credential(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path((resource, credential)): Path<(String, String)>,
) -> Result<axum::Json<Credential>, Problem> {
    let id: CredentialId = credential.parse().map_err(|_| {
        Problem::new(&registry::NOT_FOUND, format!("no credential has the id {credential:?}"))
    })?;
    let credential = control.revoke_credential(&caller, &ResourceRef::from(resource.as_str()), id).await?;
    Ok(axum::Json(view::credential(&credential)))
}
