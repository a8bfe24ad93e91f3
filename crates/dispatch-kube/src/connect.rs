//! Finding the API server and making sure that it is of use, before anything starts: each thing that can be missing is
//! told in a sentence with what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crd::KafkaCluster;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client};
use thiserror::Error;

use crate::Read;
use crate::request::said;

/// How long a connection may take. An API server that is reachable answers within a second.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long one question may take while starting.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the account needs, each for a reason: `get` before a write, `create` and `patch` for an apply, `list` and
/// `watch` for statuses, `delete` for the object of a cluster of which nothing is left.
const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// Where the account of a pod lies.
const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How to find the API server.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// A kubeconfig file. Without one: the file that `KUBECONFIG` names, else the account of the pod that this runs
    /// in, else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace; without one that of the kubeconfig's context or of the pod.
    pub namespace: Option<String>,
}

/// An API server that has what we need and lets us do it.
#[derive(Clone)]
pub struct Connection {
    /// To talk to it.
    pub client: Client,
    /// The namespace to work in.
    pub namespace: String,
}

/// The API server cannot be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing says where it is.
    #[error(
        "nothing says where the Kubernetes API server is: there is no ~/.kube/config, KUBECONFIG is not set, and this is no pod with an account; name a file with --kubeconfig"
    )]
    NoConfiguration,
    /// What says where it is cannot be used.
    #[error("the {what} cannot be used")]
    Configuration {
        /// What it is, with its path.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not answer.
    #[error(
        "the Kubernetes API server at {url} does not answer; is the address right and the cluster running?"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not know us.
    #[error("the Kubernetes API server at {url} refuses the credentials: {message}")]
    Unauthenticated {
        /// Its address.
        url: String,
        /// What it said.
        message: String,
    },
    /// The custom resource is not installed.
    #[error(
        "the Kubernetes API server at {url} has no KafkaCluster resource; install it with the chart penstock-operator, or with `penstock-operator crds | kubectl apply --server-side -f -`"
    )]
    NoResource {
        /// Its address.
        url: String,
    },
    /// The account lacks rights.
    #[error(
        "the account may not {verbs} kafkaclusters.penstock.dev in namespace {namespace}; grant it with the role of the chart penstock"
    )]
    Forbidden {
        /// What it may not do.
        verbs: String,
        /// Where.
        namespace: String,
    },
}

impl Connection {
    /// Finds the API server and checks it.
    pub async fn open(source: &Source) -> Result<Connection, ConnectError> {
        let mut config = configuration(source.kubeconfig.as_deref()).await?;
        config.connect_timeout = Some(CONNECT_WITHIN);
        // Requests are repeated here, where it is known which are worth it: the client's own policy goes on for hours.
        config.default_retry = false;
        let url = config.cluster_url.to_string();
        let namespace = source.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| ConnectError::Configuration {
            what: format!("configuration for the API server at {url}"),
            source: error.into(),
        })?;
        check(&client, &url, &namespace).await?;
        Ok(Connection { client, namespace })
    }
}

async fn configuration(named: Option<&Path>) -> Result<kube::Config, ConnectError> {
    let options = KubeConfigOptions::default();
    if let Some(path) = named {
        let unusable = |error: KubeconfigError| ConnectError::Configuration {
            what: format!("kubeconfig {}", path.display()),
            source: error.into(),
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
        return kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable);
    }
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
        return kube::Config::from_kubeconfig(&options).await.map_err(|error| ConnectError::Configuration {
            what: format!("kubeconfig {} that KUBECONFIG names", path.display()),
            source: error.into(),
        });
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return kube::Config::incluster().map_err(|error| ConnectError::Configuration {
            what: format!("account of this pod in {ACCOUNT_DIR}"),
            source: error.into(),
        });
    }
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
    match home.filter(|path| path.is_file()) {
        None => Err(ConnectError::NoConfiguration),
        Some(path) => {
            kube::Config::from_kubeconfig(&options).await.map_err(|error| ConnectError::Configuration {
                what: format!("kubeconfig {}", path.display()),
                source: error.into(),
            })
        }
    }
}

/// Asks for what everything later depends on.
pub(crate) async fn check(client: &Client, url: &str, namespace: &str) -> Result<(), ConnectError> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut refused = Vec::new();
    for verb in VERBS {
        let review = SelfSubjectAccessReview { spec: question(verb, namespace), ..Default::default() };
        let answer = bounded(url, reviews.create(&PostParams::default(), &review)).await?;
        if !answer.status.is_some_and(|status| status.allowed) {
            refused.push(verb);
        }
    }
    if !refused.is_empty() {
        return Err(ConnectError::Forbidden { verbs: refused.join(", "), namespace: namespace.to_owned() });
    }
    let objects: Api<Read> = Api::namespaced(client.clone(), namespace);
    bounded(url, objects.list_metadata(&ListParams::default().limit(1))).await.map(drop)
}

fn question(verb: &str, namespace: &str) -> SelfSubjectAccessReviewSpec {
    let attributes = ResourceAttributes {
        group: Some(<KafkaCluster as kube::Resource>::group(&()).into_owned()),
        resource: Some(<KafkaCluster as kube::Resource>::plural(&()).into_owned()),
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        ..Default::default()
    };
    SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() }
}

async fn bounded<T>(
    url: &str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ConnectError> {
    let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| ConnectError::Unreachable {
        url: url.to_owned(),
        source,
    };
    let error = match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => return Err(unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs()).into())),
    };
    let kube::Error::Api(status) = &error else { return Err(unreachable(error.into())) };
    Err(match status.code {
        401 | 403 => ConnectError::Unauthenticated { url: url.to_owned(), message: said(&error) },
        404 => ConnectError::NoResource { url: url.to_owned() },
        _ => unreachable(said(&error).into()),
    })
}
