//! TLS under an authority of the test's own.

use std::{fs, os::unix::fs::PermissionsExt};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use backend::server::give;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_is_believed_only_under_its_authority_and_name() {
    let Some(mut server) = server("TLS", &["fsync=off"]).await else {
        return;
    };
    let (ours, theirs) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &ours).unwrap();
    for (file, text) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let path = server.folder().join("data").join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        give(&path);
    }
    server
        .admin()
        .await
        .batch_execute("ALTER SYSTEM SET ssl = on")
        .await
        .unwrap();
    server.stop();
    server.start_again().await;

    let reach = |host: &str, mode: &str, ca: Option<&str>| {
        let mut options = options(&format!(
            "postgres://postgres@{host}:{}/postgres?sslmode={mode}",
            server.port()
        ));
        options.ca_pem = ca.map(|pem| pem.as_bytes().to_vec());
        Postgres::new(&options).unwrap()
    };
    let store = StoreId::random();
    let (ours, theirs) = (ours.pem(), theirs.pem());
    for (mode, ca) in [("verify-full", &ours), ("disable", &ours)] {
        let stores = reach("localhost", mode, Some(ca));
        add(&stores, store, "sum").await.unwrap();
        let plain = "pid IN (SELECT pid FROM pg_stat_ssl WHERE NOT ssl)";
        assert_eq!(sessions(&server, plain).await, 0, "{mode}");
        assert!(sessions(&server, "true").await > 0, "{mode}");
        drop(stores);
        until_sessions(&server, "true", 0).await;
    }
    let (other, unknown, name) = (
        reach("localhost", "require", Some(&theirs)),
        reach("localhost", "require", None),
        // The certificate is not for the address.
        reach("127.0.0.1", "verify-full", Some(&ours)),
    );
    let stranger = reach("localhost", "require", Some(&theirs));
    let (other, unknown, name) = tokio::join!(
        add(&other, store, "sum"),
        add(&unknown, store, "sum"),
        add(&name, store, "sum"),
    );
    assert_eq!(ill(&server, &stranger).await, Some(Reason::TlsFailed));
    for refused in [other, unknown, name] {
        assert_eq!(
            unavailable(&server, refused),
            "its identity cannot be verified"
        );
    }
}
