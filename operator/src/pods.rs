//! Proves which pod a service-account token speaks for.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, PostParams};

use crate::daemonset;

const AUDIENCE: &str = "shoal";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const POOL_LABEL: &str = "shoal.dev/pool";

/// Parts that come to the operator for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A node's runtime.
    Runtime,
    /// The builder.
    Builder,
    /// The embedded store.
    Store,
}

impl Part {
    /// Name of its ServiceAccount, and of its StatefulSet where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runtime => daemonset::SERVICE_ACCOUNT,
            Self::Builder => "shoal-builder",
            Self::Store => "shoal-store",
        }
    }

    fn of_account(name: &str) -> Option<Self> {
        [Self::Runtime, Self::Builder, Self::Store]
            .into_iter()
            .find(|part| part.name() == name)
    }
}

/// A pod that showed a valid token and is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenPod {
    /// Which part it is.
    pub part: Part,
    /// Its pool; only runtimes have one.
    pub pool: Option<String>,
    /// Node that it runs on.
    pub node: String,
    /// Its UID.
    pub uid: String,
}

/// Why a token or its pod was not accepted. Never repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The token itself is not good.
    #[error("the token was not accepted: {0}")]
    Token(String),
    /// The token is good, but whoever shows it gets nothing.
    #[error("{0}")]
    Pod(String),
    /// The API server could not be asked.
    #[error("the API server could not be asked: {0}")]
    Unavailable(String),
}

/// What a token says about its bearer, as the API server vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claims {
    part: Part,
    pod: String,
    uid: String,
    node: Option<String>,
}

/// Asks the API server about tokens and pods.
#[derive(Clone)]
pub struct Prover {
    client: kube::Client,
    namespace: String,
}

impl Prover {
    /// Accepts pods of `namespace` only.
    pub fn new(client: kube::Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Finds out which pod holds `token`.
    ///
    /// # Errors
    /// The token is not valid for audience `shoal`, is of no part of Shoal, or its pod is not alive, not on the node
    /// that the token names, or not made by the controller that makes such pods.
    pub async fn prove(&self, token: &str) -> Result<ProvenPod, Rejection> {
        let claims = self.review(token).await?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pod = timely(api.get_opt(&claims.pod))
            .await?
            .ok_or_else(|| Rejection::Pod(format!("pod `{}` does not exist", claims.pod)))?;
        let (node, owner) = alive(&pod, &claims)?;
        self.check_controller(claims.part, &owner).await?;
        let pool = pod
            .metadata
            .labels
            .and_then(|mut labels| labels.remove(POOL_LABEL));
        Ok(ProvenPod {
            part: claims.part,
            pool: pool.filter(|_| claims.part == Part::Runtime),
            node,
            uid: claims.uid,
        })
    }

    async fn review(&self, token: &str) -> Result<Claims, Rejection> {
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let answer = timely(api.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            let why = status.error.unwrap_or_else(|| "not authenticated".into());
            return Err(Rejection::Token(why));
        }
        if !status
            .audiences
            .unwrap_or_default()
            .iter()
            .any(|a| a == AUDIENCE)
        {
            return Err(Rejection::Token(format!(
                "its audience is not `{AUDIENCE}`"
            )));
        }
        claims(&status.user.unwrap_or_default(), &self.namespace)
    }

    async fn check_controller(&self, part: Part, owner: &OwnerReference) -> Result<(), Rejection> {
        let uid = if part == Part::Runtime {
            let api: Api<DaemonSet> = Api::namespaced(self.client.clone(), &self.namespace);
            let set = timely(api.get_opt(&owner.name)).await?.unwrap_or_default();
            owned_by_runtime_account(&set)
                .then_some(set.metadata.uid)
                .flatten()
        } else {
            let api: Api<StatefulSet> = Api::namespaced(self.client.clone(), &self.namespace);
            let set = timely(api.get_opt(part.name())).await?;
            set.and_then(|set| set.metadata.uid)
        };
        let kind = if part == Part::Runtime {
            "DaemonSet"
        } else {
            "StatefulSet"
        };
        if owner.kind == kind && uid.as_ref() == Some(&owner.uid) {
            return Ok(());
        }
        Err(Rejection::Pod(format!(
            "the pod is controlled by {} `{}`, which does not make pods of {}",
            owner.kind,
            owner.name,
            part.name()
        )))
    }
}

fn owned_by_runtime_account(set: &DaemonSet) -> bool {
    set.metadata
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.kind == "ServiceAccount" && owner.name == daemonset::SERVICE_ACCOUNT)
}

fn claims(user: &UserInfo, namespace: &str) -> Result<Claims, Rejection> {
    let name = user.username.as_deref().unwrap_or_default();
    let part = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
        .filter(|(of, _)| *of == namespace)
        .and_then(|(_, account)| Part::of_account(account))
        .ok_or_else(|| Rejection::Pod(format!("`{name}` is no part of Shoal")))?;
    let extra = |key: &str| {
        let values = user.extra.as_ref()?.get(key)?;
        values.first().cloned()
    };
    let missing =
        |what: &str| Rejection::Token(format!("it is bound to no pod ({what} is missing)"));
    Ok(Claims {
        part,
        pod: extra("authentication.kubernetes.io/pod-name").ok_or_else(|| missing("pod-name"))?,
        uid: extra("authentication.kubernetes.io/pod-uid").ok_or_else(|| missing("pod-uid"))?,
        node: extra("authentication.kubernetes.io/node-name"),
    })
}

/// The pod's node and controller, if it is the live pod that the claims name.
fn alive(pod: &Pod, claims: &Claims) -> Result<(String, OwnerReference), Rejection> {
    let refuse = |why: &str| Err(Rejection::Pod(format!("pod `{}` {why}", claims.pod)));
    if pod.metadata.uid.as_ref() != Some(&claims.uid) {
        return refuse("is another one than the token's");
    }
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return refuse("has ended");
    }
    let spec = pod.spec.as_ref();
    if spec.and_then(|spec| spec.service_account_name.as_deref()) != Some(claims.part.name()) {
        return refuse("runs under another service account");
    }
    let Some(node) = spec.and_then(|spec| spec.node_name.clone()) else {
        return refuse("is on no node yet");
    };
    if claims.node.as_ref().is_some_and(|named| *named != node) {
        return refuse("is on another node than the token says");
    }
    let owners = pod.metadata.owner_references.iter().flatten();
    match owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    {
        Some(owner) => Ok((node, owner.clone())),
        None => refuse("has no controller"),
    }
}

async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Rejection> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| Rejection::Unavailable(error.to_string())),
        Err(_) => Err(Rejection::Unavailable("no answer in time".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(name: &str) -> UserInfo {
        serde_json::from_value(json!({"username": name, "extra": {
            "authentication.kubernetes.io/pod-name": ["p"],
            "authentication.kubernetes.io/pod-uid": ["u"],
            "authentication.kubernetes.io/node-name": ["n"],
        }}))
        .unwrap()
    }

    fn pod() -> serde_json::Value {
        json!({
            "metadata": {"uid": "u", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "du", "controller": true}]},
            "spec": {"nodeName": "n", "serviceAccountName": "shoal-runtime", "containers": []},
            "status": {"phase": "Running"},
        })
    }

    fn verdict(pod: serde_json::Value) -> Result<String, String> {
        let claims = claims(
            &user("system:serviceaccount:shoal-system:shoal-runtime"),
            "shoal-system",
        )
        .unwrap();
        let pod: Pod = serde_json::from_value(pod).unwrap();
        alive(&pod, &claims)
            .map(|(node, _)| node)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_service_accounts_of_our_parts_in_our_namespace_count() {
        for name in [
            "system:serviceaccount:shop:shoal-runtime",
            "system:serviceaccount:shoal-system:default",
            "system:serviceaccount:shoal-system:shoal-operator",
            "kubernetes-admin",
        ] {
            assert!(claims(&user(name), "shoal-system").is_err(), "{name}");
        }
        let builder = claims(
            &user("system:serviceaccount:shoal-system:shoal-builder"),
            "shoal-system",
        );
        assert_eq!(builder.unwrap().part, Part::Builder);
    }

    #[test]
    fn a_token_that_is_bound_to_no_pod_is_refused() {
        let mut user = user("system:serviceaccount:shoal-system:shoal-store");
        user.extra = None;
        let error = claims(&user, "shoal-system").unwrap_err();
        assert!(matches!(error, Rejection::Token(_)));
    }

    #[test]
    fn the_live_pod_of_the_token_is_accepted() {
        assert_eq!(verdict(pod()), Ok("n".into()));
    }

    #[test]
    fn a_pod_that_is_not_the_tokens_is_refused() {
        for (path, value, why) in [
            ("/metadata/uid", json!("other"), "another one"),
            ("/status/phase", json!("Failed"), "has ended"),
            ("/spec/nodeName", json!("m"), "another node"),
            (
                "/spec/serviceAccountName",
                json!("default"),
                "another service account",
            ),
            ("/metadata/ownerReferences", json!([]), "no controller"),
        ] {
            let mut pod = pod();
            *pod.pointer_mut(path).unwrap() = value;
            let error = verdict(pod).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
