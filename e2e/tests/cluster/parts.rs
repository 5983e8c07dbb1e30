//! Shoal's own pods: taking them away and bringing them back.

use shoal_e2e::{LONG, SYSTEM, json, kubectl, until};

/// A pod of Shoal.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) uid: String,
    ready: bool,
}

/// Pods of Shoal whose name label is `part`.
pub(crate) fn pods(part: &str) -> Vec<Pod> {
    let label = format!("app.kubernetes.io/name={part}");
    let list = json(&["-n", SYSTEM, "pods", "-l", &label]).unwrap_or_default();
    let pods = list["items"].as_array().into_iter().flatten();
    pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| {
            let conditions = pod["status"]["conditions"].as_array();
            let ready = conditions.is_some_and(|all| {
                all.iter()
                    .any(|c| c["type"] == "Ready" && c["status"] == "True")
            });
            let text = |pointer: &str| {
                pod.pointer(pointer)
                    .and_then(|v| v.as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            Pod {
                name: text("/metadata/name"),
                node: text("/spec/nodeName"),
                uid: text("/metadata/uid"),
                ready,
            }
        })
        .collect()
}

/// Waits until `count` pods of a part are there, all ready.
pub(crate) fn wait_until_ready(part: &str, count: usize) {
    until(&format!("{count} ready pods of {part}"), LONG, || {
        let pods = pods(part);
        let whole = pods.len() == count && pods.iter().all(|pod| pod.ready);
        if whole { Ok(()) } else { Err(pods) }
    });
}

/// Deletes every pod of a part and waits until their successors are ready.
pub(crate) fn replace_all(part: &str) {
    let before = pods(part);
    let label = format!("app.kubernetes.io/name={part}");
    kubectl(&[
        "-n",
        SYSTEM,
        "delete",
        "pods",
        "-l",
        &label,
        "--wait=true",
        "--timeout=120s",
    ]);
    wait_until_ready(part, before.len());
    // Of a StatefulSet they have the names of those before them.
    let survived = |pod: &Pod| before.iter().any(|old| old.uid == pod.uid);
    let survivors: Vec<Pod> = pods(part).into_iter().filter(survived).collect();
    assert!(survivors.is_empty(), "not replaced: {survivors:?}");
}

/// A node that takes no new pods until this is dropped.
#[derive(Debug)]
pub(crate) struct Cordoned(String);

impl Cordoned {
    pub(crate) fn new(node: &str) -> Self {
        kubectl(&["cordon", node]);
        Self(node.to_owned())
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        kubectl(&["uncordon", &self.0]);
    }
}

/// Scales operator and builder to zero, and brings them back when dropped.
#[derive(Debug)]
pub(crate) struct ControlPlaneAway;

impl ControlPlaneAway {
    /// Waits until no pod of either is left.
    pub(crate) fn take() -> Self {
        let away = Self;
        kubectl(&[
            "-n",
            SYSTEM,
            "scale",
            "deployment/shoal-operator",
            "--replicas=0",
        ]);
        kubectl(&[
            "-n",
            SYSTEM,
            "scale",
            "statefulset/shoal-builder",
            "--replicas=0",
        ]);
        for part in ["shoal-operator", "shoal-builder"] {
            until(&format!("no pod of {part}"), LONG, || match pods(part) {
                pods if pods.is_empty() => Ok(()),
                pods => Err(pods),
            });
        }
        away
    }
}

impl Drop for ControlPlaneAway {
    fn drop(&mut self) {
        kubectl(&[
            "-n",
            SYSTEM,
            "scale",
            "statefulset/shoal-builder",
            "--replicas=1",
        ]);
        kubectl(&[
            "-n",
            SYSTEM,
            "scale",
            "deployment/shoal-operator",
            "--replicas=2",
        ]);
        if !std::thread::panicking() {
            wait_until_ready("shoal-builder", 1);
            wait_until_ready("shoal-operator", 2);
        }
    }
}

/// The registry stopped, and started again when dropped.
#[derive(Debug)]
pub(crate) struct RegistryAway;

impl RegistryAway {
    pub(crate) fn take() -> Self {
        shoal_e2e::cluster()
            .stop_registry()
            .expect("the registry stops");
        Self
    }
}

impl Drop for RegistryAway {
    fn drop(&mut self) {
        shoal_e2e::cluster()
            .start_registry()
            .expect("the registry starts");
    }
}
