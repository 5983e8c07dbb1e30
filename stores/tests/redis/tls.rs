//! Servers with a certificate.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use shoal_stores::{Reason, Redis, RedisOptions, StoreId};

use crate::{
    get, reason,
    redis_server::{RedisServer, free_port},
    set, unavailable,
};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn a_servers_certificate_is_checked() {
    let files = tempfile::tempdir().unwrap();
    let ca = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cert_file = write("cert", certificate.pem());
    let key_file = write("key", key.serialize_pem());
    let ca_file = write("ca", ca.pem());
    let port = free_port().to_string();
    let arguments = [
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &cert_file,
        "--tls-key-file",
        &key_file,
        "--tls-ca-cert-file",
        &ca_file,
    ];
    let Some(server) = RedisServer::start(&arguments).await else {
        return;
    };
    let stores = |host: &str, ca: String| {
        let options = RedisOptions {
            url: format!("rediss://{host}:{port}"),
            ca_pem: Some(ca.into_bytes()),
            ..server.options()
        };
        Redis::new(&options).unwrap()
    };
    let store = StoreId::random();
    let trusting = stores("localhost", ca.pem());
    set(&trusting, store, "key", "value").await.unwrap();
    assert_eq!(reason(&trusting).await, None);

    let unverified = "its identity cannot be verified";
    // Another authority, and another name.
    let other = stores("localhost", authority().pem());
    assert_eq!(get(&other, store, "key").await, unavailable(unverified));
    assert_eq!(reason(&other).await, Some(Reason::TlsFailed));
    let elsewhere = stores("127.0.0.1", ca.pem());
    assert_eq!(get(&elsewhere, store, "key").await, unavailable(unverified));
    // A server that speaks no TLS.
    let options = RedisOptions {
        url: format!("rediss://localhost:{}", server.port),
        ca_pem: Some(ca.pem().into_bytes()),
        ..server.options()
    };
    let plain = Redis::new(&options).unwrap();
    assert!(get(&plain, store, "key").await.is_err());
}
