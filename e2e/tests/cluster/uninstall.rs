//! Taking Shoal out and putting it back loses nothing.

use std::path::{Path, PathBuf};

use shoal_e2e::{LONG, Namespace, SYSTEM, eventually, image, json, kubectl};

use crate::parts;

/// `install.yaml` as it was applied here: with the image that was built.
fn manifest() -> PathBuf {
    std::env::var_os("SHOAL_INSTALL_MANIFEST")
        .map(PathBuf::from)
        .expect("SHOAL_INSTALL_MANIFEST names the manifest that was applied")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of plain characters")
}

#[test]
fn deleting_the_installation_keeps_apps_and_data_and_installing_again_finds_them() {
    let namespace = Namespace::new("uninstall");
    let app = namespace.app("lasting", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/through-it-all").status, 200);

    let manifest = manifest();
    kubectl(&["delete", "-f", path(&manifest), "--timeout=120s"]);
    eventually("the pool's DaemonSet to go", LONG, || {
        json(&["-n", SYSTEM, "daemonset", "shoal-runtime-default"]).is_none()
    });
    assert_eq!(app.object()["metadata"]["name"], "lasting");
    let claims = json(&["-n", SYSTEM, "persistentvolumeclaims"]).expect("a list");
    let claims = claims["items"].to_string();
    assert!(
        claims.contains("shoal-store-0"),
        "the store's volume stays: {claims}"
    );

    for how in ["--server-side=false", "--server-side=true"] {
        let force = if how.ends_with("true") {
            "--force-conflicts=true"
        } else {
            "--force=false"
        };
        kubectl(&["apply", how, force, "-f", path(&manifest)]);
    }
    parts::wait_until_ready("shoal-operator", 2);
    eventually("the runtimes to be back", LONG, || {
        parts::pods("shoal-runtime").len() == 3
    });
    parts::wait_until_ready("shoal-runtime", 3);
    app.ready();
    eventually("the app to answer again", LONG, || {
        app.get(2, "/get/kept").body.trim() == "through-it-all"
    });
}
