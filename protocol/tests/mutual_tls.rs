//! Who may talk to whom, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod parts;

use std::time::Duration;

use parts::{NODE, Operator, POD, part, runtime_identity, until};
use shoal_protocol::{
    CertificateAuthority, ClientAuth, Identity, LiveIdentity, Role, Trust, client,
    server::Listener,
    v1::{
        SignRequest, WatchGrantsRequest, certificates_client::CertificatesClient,
        grants_client::GrantsClient,
    },
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic::Code;

async fn watch_as(identity: &LiveIdentity, target: &str) -> Result<(), Code> {
    let channel = client::channel(target, Role::Operator, identity).unwrap();
    GrantsClient::new(channel)
        .watch(WatchGrantsRequest::default())
        .await
        .map(|_| ())
        .map_err(|status| match status.code() {
            // In TLS 1.3 a client may learn of the server's refusal only from its first request.
            Code::Unknown => Code::Unavailable,
            code => code,
        })
}

fn store_identity() -> Identity {
    Identity::new(Role::Store, "", NODE, POD).unwrap()
}

#[tokio::test]
async fn a_server_knows_who_calls_and_refuses_other_roles() {
    let operator = Operator::new();
    let serving = operator.serve();
    let target = serving.address.to_string();
    let ca = operator.authority();

    assert_eq!(
        watch_as(&part(&ca, &store_identity()), &target).await,
        Ok(())
    );
    let runtime = part(&ca, &runtime_identity());
    assert_eq!(
        watch_as(&runtime, &target).await,
        Err(Code::PermissionDenied)
    );
    let nobody = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    assert_eq!(watch_as(&nobody, &target).await, Err(Code::Unauthenticated));

    let channel = client::connect(&target, Role::Operator, &runtime)
        .await
        .unwrap();
    let _ = CertificatesClient::new(channel)
        .sign(SignRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        operator.callers.lock().unwrap().last(),
        Some(&Some(runtime_identity()))
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_by_both_sides() {
    let operator = Operator::new();
    let serving = operator.serve();
    let target = serving.address.to_string();
    let (ours, theirs) = (
        operator.authority(),
        CertificateAuthority::generate().unwrap(),
    );

    // Their certificate, but trusting ours: the server is the one that refuses.
    let stranger = part(&theirs, &store_identity());
    stranger.set_trust(Trust::from_pem(ours.certificate_pem()).unwrap());
    assert_eq!(watch_as(&stranger, &target).await, Err(Code::Unavailable));

    // Our certificate, but trusting theirs: the client is the one that refuses.
    let misled = part(&ours, &store_identity());
    misled.set_trust(Trust::from_pem(theirs.certificate_pem()).unwrap());
    assert_eq!(watch_as(&misled, &target).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn a_part_cannot_stand_in_for_another() {
    let operator = Operator::new();
    let ca = operator.authority();
    let caller = part(&ca, &store_identity());
    for impostor in [store_identity(), runtime_identity()] {
        let serving = operator.serve_at("127.0.0.1:0".parse().unwrap(), &part(&ca, &impostor));
        let error = client::connect(&serving.address.to_string(), Role::Operator, &caller)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(&serving.address.to_string()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_listener_that_demands_certificates_closes_on_those_without() {
    let operator = Operator::new();
    let ca = operator.authority();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let incoming = listener
        .incoming(&operator.own_identity(), ClientAuth::Required)
        .unwrap();
    let service = shoal_protocol::v1::grants_server::GrantsServer::from_arc(operator.clone());
    tokio::spawn(
        shoal_protocol::server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    assert_eq!(
        watch_as(&part(&ca, &store_identity()), &target).await,
        Ok(())
    );
    let nobody = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    assert_eq!(watch_as(&nobody, &target).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn renewed_certificates_and_authorities_serve_new_connections() {
    let operator = Operator::new();
    let (old, new) = (
        operator.authority(),
        CertificateAuthority::generate().unwrap(),
    );
    let server = operator.own_identity();
    let serving = operator.serve_at("127.0.0.1:0".parse().unwrap(), &server);
    let target = serving.address.to_string();
    let both = format!("{}{}", old.certificate_pem(), new.certificate_pem());

    // The two overlap for a while, the server's certificate is renewed, then the old one goes.
    server.set_trust(Trust::from_pem(&both).unwrap());
    assert_eq!(
        watch_as(&part(&old, &store_identity()), &target).await,
        Ok(())
    );
    let renewed = new
        .issue(&Identity::new(Role::Operator, "", NODE, POD).unwrap())
        .unwrap();
    server
        .set_certificate(&renewed.certificate_chain, &renewed.key)
        .unwrap();
    server.set_trust(Trust::from_pem(new.certificate_pem()).unwrap());
    assert_eq!(
        watch_as(&part(&new, &store_identity()), &target).await,
        Ok(())
    );
    let late = part(&old, &store_identity());
    late.set_trust(Trust::from_pem(&both).unwrap());
    assert_eq!(watch_as(&late, &target).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let operator = Operator::new();
    let serving = operator.serve();
    let ca = operator.authority();
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let life = Duration::from_secs(1);
    let chain = ca.sign_for(csr.der(), &store_identity(), life).unwrap();
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    live.set_certificate(&chain, &key.serialize_pem()).unwrap();
    until("the certificate has expired", || !live.is_usable()).await;
    let result = watch_as(&live, &serving.address.to_string()).await;
    assert_eq!(result, Err(Code::Unavailable));
}

#[tokio::test]
async fn whoever_does_not_finish_the_handshake_is_dropped_and_delays_nobody() {
    let operator = Operator::new();
    let serving = operator.serve();
    let mut silent = TcpStream::connect(serving.address).await.unwrap();
    let store = part(&operator.authority(), &store_identity());
    assert_eq!(watch_as(&store, &serving.address.to_string()).await, Ok(()));
    let mut end = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(180), silent.read(&mut end)).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "still open: {read:?}");
}

#[tokio::test]
async fn one_socket_takes_both_families() {
    let operator = Operator::new();
    let serving = operator.serve_at("[::]:0".parse().unwrap(), &operator.own_identity());
    let store = part(&operator.authority(), &store_identity());
    let port = serving.address.port();
    assert_eq!(watch_as(&store, &format!("127.0.0.1:{port}")).await, Ok(()));
    if serving.address.is_ipv6() {
        assert_eq!(watch_as(&store, &format!("[::1]:{port}")).await, Ok(()));
    }
}

#[tokio::test]
async fn connecting_to_nothing_ends_with_a_plain_error() {
    let operator = Operator::new();
    let store = part(&operator.authority(), &store_identity());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = free.local_addr().unwrap().to_string();
    drop(free);
    let error = client::connect(&target, Role::Operator, &store)
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&target), "{error}");
    assert!(client::channel(&target, Role::Runtime, &store).is_err());
}
