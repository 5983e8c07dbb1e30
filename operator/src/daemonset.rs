//! The DaemonSet of the pool `default`: made here, and kept as it should be.

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use shoal_crds::{ByteQuantity, DEFAULT_POOL, FIELD_MANAGER};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::lease::Leadership;
use crate::metrics::Metrics;

/// Name of the DaemonSet of the pool `default`.
pub const DAEMON_SET: &str = "shoal-runtime-default";
/// ServiceAccount of the runtimes; it owns the DaemonSet, so that removing the installation removes it.
pub const SERVICE_ACCOUNT: &str = "shoal-runtime";
const CHECK_EVERY: Duration = Duration::from_secs(30);
const RETRY_EVERY: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// User and group of every part.
const USER: u32 = 65532;

/// What differs between installations.
#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    /// Image of all parts.
    pub image: String,
    /// Memory limit of a runtime pod.
    pub memory: ByteQuantity,
    /// Namespace of the installation.
    pub namespace: String,
}

/// Why the DaemonSet is not as it should be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
    #[error("ServiceAccount `{SERVICE_ACCOUNT}` is missing: apply install.yaml again")]
    NoServiceAccount,
    #[error("the lease is about to run out")]
    Lease,
}

/// Keeps the DaemonSet right while this replica leads.
pub async fn keep(
    client: kube::Client,
    settings: RuntimeSettings,
    leadership: Leadership,
    metrics: std::sync::Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut epoch = leadership.watch();
    while !*stop.borrow() {
        let pause = match leadership.epoch() {
            None => RETRY_EVERY,
            Some(_) => match check(&client, &settings, &leadership, &metrics).await {
                Ok(()) => CHECK_EVERY,
                Err(error) => {
                    warn!(%error, "DaemonSet {DAEMON_SET} could not be checked");
                    RETRY_EVERY
                }
            },
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = epoch.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn check(
    client: &kube::Client,
    settings: &RuntimeSettings,
    leadership: &Leadership,
    metrics: &Metrics,
) -> Result<(), Failure> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &settings.namespace);
    let account = timely(accounts.get_opt(SERVICE_ACCOUNT))
        .await?
        .and_then(|account| account.metadata.uid)
        .ok_or(Failure::NoServiceAccount)?;
    let wanted = daemon_set(settings, &account);
    let api: Api<DaemonSet> = Api::namespaced(client.clone(), &settings.namespace);
    let live = timely(api.get_opt(DAEMON_SET)).await?;
    let live = live.and_then(|live| serde_json::to_value(live).ok());
    if live.is_some_and(|live| contains(&live, &wanted)) {
        return Ok(());
    }
    if leadership.may_start(REQUEST_TIMEOUT).is_none() {
        return Err(Failure::Lease);
    }
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    timely(api.patch(DAEMON_SET, &parameters, &Patch::Apply(&wanted))).await?;
    metrics.wrote("DaemonSet", "patch");
    info!(image = settings.image, "DaemonSet {DAEMON_SET} applied");
    Ok(())
}

async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| Failure::Timeout)??)
}

/// Whether `live` holds everything that `wanted` says; what the API server or another field manager added does not
/// matter: applying again would not remove it.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| live.get(key).is_some_and(|live| contains(live, wanted))),
        (Value::Array(live), Value::Array(wanted)) if wanted.iter().all(|w| name(w).is_some()) => {
            wanted.iter().all(|wanted| {
                live.iter()
                    .any(|live| name(live) == name(wanted) && contains(live, wanted))
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| contains(live, wanted))
        }
        _ => live == wanted || same_size(live, wanted),
    }
}

/// Whether these are two spellings of one size: the API server writes `2048Mi` as `2Gi`.
fn same_size(live: &Value, wanted: &Value) -> bool {
    let bytes = |value: &Value| {
        value
            .as_str()?
            .parse()
            .ok()
            .map(|q: ByteQuantity| q.bytes())
    };
    bytes(live).is_some_and(|live| Some(live) == bytes(wanted))
}

/// Elements of a list that the API server merges by name.
fn name(element: &Value) -> Option<&str> {
    element.get("name").and_then(Value::as_str)
}

fn daemon_set(settings: &RuntimeSettings, account_uid: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": "shoal-runtime",
        "app.kubernetes.io/part-of": "shoal",
        "app.kubernetes.io/managed-by": "shoal-operator",
        "shoal.dev/pool": DEFAULT_POOL,
    });
    let selector = json!({
        "app.kubernetes.io/name": "shoal-runtime",
        "shoal.dev/pool": DEFAULT_POOL,
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": DAEMON_SET,
            "namespace": settings.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "name": SERVICE_ACCOUNT,
                "uid": account_uid,
            }],
        },
        "spec": {
            "selector": {"matchLabels": selector},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": pod(settings),
            },
        },
    })
}

fn pod(settings: &RuntimeSettings) -> Value {
    json!({
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": false,
        // One variable per Service of the namespace would reach the guests' host otherwise.
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(settings)],
        "volumes": [
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {
                "audience": "shoal", "expirationSeconds": 3600, "path": "token",
            }}]}},
            {"name": "ca", "configMap": {"name": crate::ca::BUNDLE, "optional": true}},
            {"name": "identity", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
            {"name": "state", "emptyDir": {}},
        ],
    })
}

fn container(settings: &RuntimeSettings) -> Value {
    let from = |path: &str| json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
    json!({
        "name": "runtime",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/local/bin/shoal-runtime"],
        "args": ["--log=json"],
        "env": [
            {"name": "NODE_NAME", "valueFrom": from("spec.nodeName")},
            {"name": "POD_NAME", "valueFrom": from("metadata.name")},
            {"name": "POD_UID", "valueFrom": from("metadata.uid")},
            {"name": "POD_IPS", "valueFrom": from("status.podIPs")},
        ],
        "ports": [{"name": "metrics", "containerPort": 9090, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": settings.memory.to_string()},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": 9090},
            "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 9090},
            "initialDelaySeconds": 10,
            "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3,
        },
        "volumeMounts": [
            {"name": "token", "mountPath": "/var/run/shoal/token", "readOnly": true},
            {"name": "ca", "mountPath": "/var/run/shoal/ca", "readOnly": true},
            {"name": "identity", "mountPath": "/run/shoal"},
            {"name": "state", "mountPath": "/var/lib/shoal"},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Value {
        let settings = RuntimeSettings {
            image: "shoal.dev/shoal:0.1.0".into(),
            memory: "2048Mi".parse().unwrap(),
            namespace: "shoal-system".into(),
        };
        daemon_set(&settings, "uid-1")
    }

    #[test]
    fn the_daemon_set_is_one_to_the_api_types() {
        let typed: DaemonSet = serde_json::from_value(wanted()).unwrap();
        let back = serde_json::to_value(typed).unwrap();
        assert!(
            contains(&back, &wanted()),
            "a field name is wrong: {back:#}"
        );
    }

    #[test]
    fn defaults_of_the_api_server_are_no_difference_and_edits_are() {
        let mut live = wanted();
        live["spec"]["revisionHistoryLimit"] = json!(10);
        live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = json!("/dev");
        assert!(contains(&live, &wanted()));
        live["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
        assert!(!contains(&live, &wanted()));
    }

    #[test]
    fn another_spelling_of_the_memory_is_no_difference() {
        let mut live = wanted();
        let memory = &mut live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
        memory["memory"] = json!("2Gi");
        assert!(contains(&live, &wanted()));
        let memory = &mut live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
        memory["memory"] = json!("3Gi");
        assert!(!contains(&live, &wanted()));
    }

    #[test]
    fn what_another_field_manager_added_is_left_to_it() {
        let mut live = wanted();
        let containers = live["spec"]["template"]["spec"]["containers"]
            .as_array_mut()
            .unwrap();
        containers.insert(0, json!({"name": "sidecar"}));
        assert!(contains(&live, &wanted()));
    }
}
