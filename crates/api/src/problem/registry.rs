//! Every problem that the API can answer with: the one place of its code, status, meaning and advice. `/v1/problems`
//! and the documentation are generated from here.

use axum::http::StatusCode;

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable code.
    pub code: &'static str,
    /// The status that comes with it.
    pub status: StatusCode,
    /// What it means, whenever it occurs.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

macro_rules! registry {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal, $meaning:literal, $advice:literal;)+) => {
        $($(#[$doc])* pub static $name: Kind =
            Kind { code: $code, status: StatusCode::$status, meaning: $meaning, advice: $advice };)+

        /// All of them, in the order of this file.
        pub static ALL: &[&Kind] = &[$(&$name),+];
    };
}

registry! {
    /// The body is not JSON, or not of the expected shape.
    MALFORMED_BODY = BAD_REQUEST "malformed-body",
        "The body of the request is not the JSON that this path expects.",
        "Correct the place that the detail names; the OpenAPI document describes each body.";
    /// A header, path or query parameter cannot be understood.
    BAD_PARAMETER = BAD_REQUEST "bad-parameter",
        "A header, a part of the path or a query parameter cannot be understood.",
        "Correct the parameter that the detail names.";
    /// No token, or none that counts.
    UNAUTHENTICATED = UNAUTHORIZED "unauthenticated",
        "The request carries no valid API token.",
        "Send `Authorization: Bearer <token>` with a token that has not been revoked.";
    /// Not there, or not the caller's.
    NOT_FOUND = NOT_FOUND "not-found",
        "What the request names does not exist in your account.",
        "Check the name or id; a list of the same path shows what is there.";
    /// The path itself.
    NO_SUCH_PATH = NOT_FOUND "no-such-path",
        "The API has no such path.",
        "Compare the path with the OpenAPI document.";
    /// The path is right, the method is not.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed",
        "The path exists, but not with this method.",
        "Use one of the methods that the `Allow` header names.";
    /// A unique name is in use.
    NAME_TAKEN = CONFLICT "name-taken",
        "Something else in your account has this name already.",
        "Choose another name, or use what is there.";
    /// Something else has to finish first.
    BUSY = CONFLICT "busy",
        "Another change has to finish first.",
        "Follow the operation that the detail names, then ask again.";
    /// Provisioning has not finished, or the cluster is down.
    NOT_READY = CONFLICT "not-ready",
        "What the request is about exists but cannot be used yet.",
        "Wait as long as `retry_after_seconds` says and ask again, or follow the resource's operation.";
    /// It was there once.
    GONE = GONE "gone",
        "What the request names existed and has been removed.",
        "Nothing brings it back; make a new one.";
    /// `If-Match` named a generation that is no longer current.
    GENERATION_CONFLICT = PRECONDITION_FAILED "generation-conflict",
        "Somebody changed it since you read it.",
        "Read it again, look at what changed, and repeat your change on the current generation.";
    /// Too large.
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body-too-large",
        "The body is larger than any request of this API can be.",
        "Send only what the OpenAPI document describes; records go to the brokers, not to this API.";
    /// Not JSON.
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type",
        "The body is not declared as JSON.",
        "Send `Content-Type: application/json`.";
    /// Understood and refused.
    INVALID = UNPROCESSABLE_ENTITY "invalid",
        "A value is not allowed.",
        "Correct the field that is named; the detail says what is allowed.";
    /// A plan that is not in the catalogue.
    UNKNOWN_PLAN = UNPROCESSABLE_ENTITY "unknown-plan",
        "There is no such plan.",
        "Choose one of the plans that the detail names, or list `/v1/plans`.";
    /// A limit of the plan.
    LIMIT_EXCEEDED = UNPROCESSABLE_ENTITY "limit-exceeded",
        "The plan does not allow that much.",
        "Ask for less, remove something, or choose a larger plan.";
    /// The same key with another request.
    IDEMPOTENCY_CONFLICT = UNPROCESSABLE_ENTITY "idempotency-conflict",
        "This Idempotency-Key was used for another request.",
        "Use a new key for each new request, and the same key only to repeat one.";
    /// Something that this platform or plan cannot do.
    UNSUPPORTED = UNPROCESSABLE_ENTITY "unsupported",
        "This cannot be done here.",
        "The detail says what can be done instead.";
    /// Kafka's own rules.
    REFUSED = UNPROCESSABLE_ENTITY "refused",
        "The brokers understood the request and refused it.",
        "The detail repeats their reason; change the request accordingly.";
    /// Our bug.
    INTERNAL = INTERNAL_SERVER_ERROR "internal",
        "The server made a mistake.",
        "Try again once; if it stays, report the request id.";
    /// Postgres or the brokers are away.
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable",
        "Something that the server needs does not answer; clusters are not affected by that.",
        "Try again after the number of seconds that `retry_after_seconds` says.";
    /// The handler did not finish.
    TIMED_OUT = GATEWAY_TIMEOUT "timed-out",
        "The answer took too long.",
        "Try again with the same Idempotency-Key: what was done already is not done twice.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_sentences_are_sentences() {
        let codes: BTreeSet<_> = ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), ALL.len());
        for kind in ALL {
            assert!(kind.meaning.ends_with('.') && kind.advice.ends_with('.'), "{}", kind.code);
            assert!(kind.status.is_client_error() || kind.status.is_server_error(), "{}", kind.code);
        }
    }
}
