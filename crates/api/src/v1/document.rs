//! What the OpenAPI document says beside the routes: title, authentication, and the answer that every operation can
//! give besides its own.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

const SCHEME: &str = "token";

/// Operations that anybody may call.
const OPEN: [&str; 1] = ["list_problems"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Penstock",
        version = "1",
        description = "Kafka clusters on request. Errors are RFC 9457 problems; `GET /v1/problems` lists their codes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(api_types::Problem)),
    tags(
        (name = "resources", description = "Add-ons: a Kafka cluster each"),
        (name = "operations", description = "What takes time, and what it waits for"),
        (name = "topics", description = "Topics of a resource"),
        (name = "credentials", description = "How programs connect"),
        (name = "apps", description = "Applications, to which resources are attached"),
        (name = "account", description = "Who calls, what was done"),
        (name = "catalogue", description = "What can be asked for, what can go wrong"),
    )
)]
pub(super) struct Penstock;

/// Adds authentication and the problem answer to every operation.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(SCHEME, scheme);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation.responses.responses.insert("default".to_owned(), RefOr::T(problem_response()));
        let open = operation.operation_id.as_deref().is_some_and(|id| OPEN.contains(&id));
        if !open {
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

fn problem_response() -> utoipa::openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("Anything else: a problem")
        .content(api_types::problem::MEDIA_TYPE, content)
        .build()
}
