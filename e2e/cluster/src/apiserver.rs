//! The API server, and the policy of its audit log.

use anyhow::Result;
use serde_json::json;

use crate::address::{API_PORT, BRIDGE_V4, SERVICE_RANGES};
use crate::binaries::Binaries;
use crate::etcd;
use crate::layout::{Layout, write};
use crate::pki::Pki;
use crate::process::Daemon;

/// The daemon's name.
pub const NAME: &str = "kube-apiserver";

/// Who may be audited for what: every write, once, when it is answered; no read.
///
/// A write is in the log before its answer is sent (`--audit-log-mode=blocking`), so that what
/// the log does not hold did not happen.
fn audit_policy() -> serde_json::Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [
            {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "None"},
        ],
    })
}

/// Writes the configuration and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn daemon(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<Daemon> {
    let policy = layout.config("audit-policy.json");
    write(&policy, serde_json::to_vec_pretty(&audit_policy())?)?;
    let (serving, kubelets) = (pki.pair("apiserver"), pki.pair("apiserver-kubelet-client"));
    let (accounts, front) = (pki.pair("sa"), pki.pair("front-proxy-client"));
    let authority = pki.pair("ca").certificate;
    let mut args = vec![
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={BRIDGE_V4}"),
        format!("--secure-port={API_PORT}"),
        format!("--etcd-servers={}", etcd::url()),
        format!("--service-cluster-ip-range={SERVICE_RANGES}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        // For aggregated APIs: their pods are called at their own addresses, which the
        // machine has routes to, because no kube-proxy runs outside the nodes.
        "--enable-aggregator-routing=true".to_owned(),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--audit-log-mode=blocking".to_owned(),
        "--audit-log-maxsize=1024".to_owned(),
    ];
    let files = [
        ("cert-dir", &layout.config("apiserver")),
        ("tls-cert-file", &serving.certificate),
        ("tls-private-key-file", &serving.key),
        ("client-ca-file", &authority),
        ("kubelet-certificate-authority", &authority),
        ("kubelet-client-certificate", &kubelets.certificate),
        ("kubelet-client-key", &kubelets.key),
        ("service-account-key-file", &accounts.certificate),
        ("service-account-signing-key-file", &accounts.key),
        (
            "requestheader-client-ca-file",
            &pki.pair("front-proxy-ca").certificate,
        ),
        ("proxy-client-cert-file", &front.certificate),
        ("proxy-client-key-file", &front.key),
        ("audit-policy-file", &policy),
        ("audit-log-path", &layout.audit_log()),
    ];
    args.extend(files.map(|(flag, path)| format!("--{flag}={}", path.display())));
    Ok(Daemon {
        name: NAME.to_owned(),
        program: binaries.kubernetes(NAME),
        args,
        namespace: None,
        log: layout.logs().join("kube-apiserver.log"),
    })
}
