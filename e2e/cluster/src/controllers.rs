//! The controller manager and the scheduler.

use anyhow::Result;

use crate::binaries::Binaries;
use crate::kubeconfig;
use crate::layout::Layout;
use crate::pki::Pki;
use crate::process::Daemon;

const CONTROLLERS: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";

/// Writes the configuration of the controller manager and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn controller_manager(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<Daemon> {
    let authority = pki.pair("ca");
    let more = vec![
        "--use-service-account-credentials=true".to_owned(),
        format!("--root-ca-file={}", authority.certificate.display()),
        format!(
            "--service-account-private-key-file={}",
            pki.pair("sa").key.display()
        ),
        format!(
            "--cluster-signing-cert-file={}",
            authority.certificate.display()
        ),
        format!("--cluster-signing-key-file={}", authority.key.display()),
        // Every controller begins by asking for its own account and token: at the default of
        // 20 requests a second that alone takes three seconds.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    client(layout, binaries, pki, CONTROLLERS, more)
}

/// Writes the configuration of the scheduler and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn scheduler(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<Daemon> {
    client(layout, binaries, pki, SCHEDULER, Vec::new())
}

fn client(
    layout: &Layout,
    binaries: &Binaries,
    pki: &Pki,
    name: &str,
    more: Vec<String>,
) -> Result<Daemon> {
    let config = layout.config(&format!("{name}.kubeconfig"));
    kubeconfig::create(&config, pki, name)?;
    let config = config.display();
    let mut args = vec![
        format!("--kubeconfig={config}"),
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        format!("--cert-dir={}", layout.config(name).display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ];
    args.extend(more);
    Ok(Daemon {
        name: name.to_owned(),
        program: binaries.kubernetes(name),
        args,
        namespace: None,
        log: layout.logs().join(format!("{name}.log")),
    })
}
