//! Sending one request: TLS with a pinned CA, the token, retries.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::{Error, root_cause};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long one try may take: a little longer than the server's own deadline, whose answer says more.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Tries of one call. With the pauses below a server that restarts within five seconds goes unnoticed.
const TRIES: u32 = 5;

/// The pause before the second try; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whose signature on the server's certificate counts.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Only this CA (PEM).
    Only(String),
    /// The machine's own list.
    Platform,
}

/// A connection to one Penstock as one account.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    token: SecretString,
}

impl Client {
    /// Prepares a client; nothing is sent. `address` is the API's, for instance `https://localhost:8443`.
    pub fn new(address: &str, token: SecretString, trust: &Trust) -> Result<Client, Error> {
        // Fails only if the process has chosen a provider already, which is then the one that is used.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let setup = |error: reqwest::Error| Error::Setup(root_cause(&error));
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none());
        if let Trust::Only(pem) = trust {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(setup)?;
            // A private CA means a private network: a proxy of the environment would not reach it.
            http = http.tls_certs_only(certificates).no_proxy();
        }
        let address = address.trim_end_matches('/').to_owned();
        Ok(Client { http: http.build().map_err(setup)?, address, token })
    }

    /// The API's address, without a final slash.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::GET, path, None, HeaderMap::new()).await
    }

    /// A POST under a fresh key, so that its retries count as one.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.post_as(path, body, &Uuid::new_v4().to_string()).await
    }

    /// A POST under the caller's key, so that also the caller may repeat it.
    pub(crate) async fn post_as<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<T, Error> {
        let key = HeaderValue::from_str(key).map_err(|_| {
            Error::Setup(format!("{key:?} cannot be an idempotency key: it is not printable ASCII"))
        })?;
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, key)]);
        self.call(Method::POST, path, Some(encode(body)?), headers).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.call(Method::PATCH, path, Some(encode(body)?), HeaderMap::new()).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::DELETE, path, None, HeaderMap::new()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: HeaderMap,
    ) -> Result<T, Error> {
        let body: Option<Arc<[u8]>> = body.map(Arc::from);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.address));
            request = request.headers(headers.clone()).bearer_auth(self.token.expose_secret());
            request = request.header(ACCEPT, "application/json");
            if let Some(body) = &body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
            }
            match self.once(request).await {
                Err(failure) if failure.passes && attempt < TRIES => tokio::time::sleep(pause).await,
                Err(failure) => return Err(failure.error),
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes).map_err(|error| self.foreign(format!("{error}")));
                }
            }
            pause *= 2;
        }
        unreachable!("the loop counts without an end and is left by return")
    }

    async fn once(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let unreachable = |error: reqwest::Error| Failure {
            error: Error::Unreachable { address: self.address.clone(), why: root_cause(&error) },
            passes: true,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(bytes.to_vec());
        }
        let error = match serde_json::from_slice::<api_types::Problem>(&bytes) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(_) => self.foreign(format!("status {status} without a problem in the body")),
        };
        Err(Failure { error, passes: status == StatusCode::SERVICE_UNAVAILABLE })
    }

    fn foreign(&self, what: String) -> Error {
        Error::Foreign { address: self.address.clone(), what }
    }
}

struct Failure {
    error: Error,
    /// Whether it is likely to pass by itself.
    passes: bool,
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::Setup(format!("the request has no JSON form: {error}")))
}
