//! How a part gets its certificate, keeps it fresh, and lives while the operator is away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod parts;

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use parts::{Operator, flags, runtime_identity, until};
use shoal_protocol::{CertificateAuthority, LiveIdentity, Trust, enrolment};
use tokio::time::timeout;

/// Longest wait for a certificate on a busy machine.
const SOON: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_part_gets_a_certificate_for_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    fs::write(&flags.ca_file, operator.authority().certificate_pem()).unwrap();
    fs::write(&flags.token_file, "good\n").unwrap();

    let identity = enrolment::start(&flags).await.unwrap();
    assert_eq!(
        timeout(SOON, identity.ready()).await.unwrap(),
        runtime_identity()
    );
    let kept = flags.identity_dir.join("identity.pem");
    until("the certificate is kept", || kept.exists()).await;
    assert_eq!(
        fs::metadata(kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(*operator.signed.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_restarted_container_needs_no_operator() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    fs::write(&flags.ca_file, operator.authority().certificate_pem()).unwrap();
    fs::write(&flags.token_file, "good").unwrap();
    timeout(SOON, enrolment::start(&flags).await.unwrap().ready())
        .await
        .unwrap();
    let kept = flags.identity_dir.join("identity.pem");
    until("the certificate is kept", || kept.exists()).await;
    drop(serving);

    let again = enrolment::start(&flags).await.unwrap();
    assert!(again.is_usable());
    assert_eq!(again.identity(), Some(runtime_identity()));
}

#[tokio::test]
async fn the_token_is_read_anew_for_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    fs::write(&flags.ca_file, operator.authority().certificate_pem()).unwrap();
    fs::write(&flags.token_file, "stale").unwrap();

    let identity = enrolment::start(&flags).await.unwrap();
    until("the stale token was shown", || {
        !operator.callers.lock().unwrap().is_empty()
    })
    .await;
    assert_eq!(identity.identity(), None);
    fs::write(&flags.token_file, "good").unwrap();
    timeout(SOON, identity.ready()).await.unwrap();
}

/// Whether the first certificate of a part, of this life, was renewed while it was good.
async fn is_renewed_in_time(life: Duration) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    *operator.life.lock().unwrap() = life;
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    fs::write(&flags.ca_file, operator.authority().certificate_pem()).unwrap();
    fs::write(&flags.token_file, "good").unwrap();

    let identity = enrolment::start(&flags).await.unwrap();
    timeout(SOON, identity.ready()).await.unwrap();
    let first = identity.not_after().unwrap();
    until("it was renewed", || identity.not_after().unwrap() > first).await;
    let in_time = std::time::SystemTime::now() < first;
    let callers = operator.callers.lock().unwrap();
    assert!(
        callers.iter().all(Option::is_none),
        "the token alone speaks for a part: {callers:?}"
    );
    in_time
}

#[tokio::test]
async fn a_certificate_is_renewed_at_half_its_life() {
    // On a machine that stood still for the other half, it shows nothing.
    for seconds in [4, 16, 64] {
        if is_renewed_in_time(Duration::from_secs(seconds)).await {
            return;
        }
    }
    panic!("renewed only after it had expired");
}

#[tokio::test]
async fn a_changed_bundle_file_is_followed_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    let old = operator.authority();
    fs::write(&flags.ca_file, old.certificate_pem()).unwrap();
    fs::write(&flags.token_file, "good").unwrap();
    let identity = enrolment::start(&flags).await.unwrap();
    timeout(SOON, identity.ready()).await.unwrap();

    fs::write(&flags.ca_file, "-----BEGIN CERTIFICATE-----\nrubbish").unwrap();
    let new = CertificateAuthority::generate().unwrap();
    let both = format!("{}{}", old.certificate_pem(), new.certificate_pem());
    assert_eq!(identity.trust().pem(), old.certificate_pem());
    fs::write(&flags.ca_file, &both).unwrap();
    until("the new authority is trusted", || {
        identity.trust().pem() == both
    })
    .await;
    assert!(identity.is_usable());
}

#[tokio::test]
async fn a_certificate_that_no_trusted_authority_signed_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let serving = operator.serve();
    let flags = flags(folder.path(), serving.address);
    fs::write(&flags.ca_file, operator.authority().certificate_pem()).unwrap();
    fs::write(&flags.token_file, "good").unwrap();
    // Left by an earlier installation with another authority.
    let issued = CertificateAuthority::generate()
        .unwrap()
        .issue(&runtime_identity())
        .unwrap();
    fs::create_dir(&flags.identity_dir).unwrap();
    let pem = format!("{}{}", issued.key, issued.certificate_chain);
    fs::write(flags.identity_dir.join("identity.pem"), pem).unwrap();

    let identity = enrolment::start(&flags).await.unwrap();
    assert!(!identity.is_usable());
    timeout(SOON, identity.ready()).await.unwrap();
    assert_eq!(*operator.signed.lock().unwrap(), 1);
}

#[tokio::test]
async fn without_a_bundle_a_part_says_so_and_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let flags = flags(folder.path(), "127.0.0.1:1".parse().unwrap());
    let error = enrolment::start(&flags).await.unwrap_err().to_string();
    assert!(
        error.contains("ca.crt") && error.contains("shoal-ca-bundle"),
        "{error}"
    );
}

#[test]
fn a_certificate_is_good_only_with_its_own_key_and_names() {
    let ca = CertificateAuthority::generate().unwrap();
    let [a, b] = [(); 2].map(|()| ca.issue(&runtime_identity()).unwrap());
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    assert!(live.set_certificate(&a.certificate_chain, &b.key).is_err());
    assert!(live.set_certificate("", &a.key).is_err());
    assert!(
        live.set_certificate(ca.certificate_pem(), &ca.key_pem())
            .is_err(),
        "no identity"
    );
    assert!(live.identity().is_none());
    live.set_certificate(&a.certificate_chain, &a.key).unwrap();
    assert_eq!(live.identity(), Some(runtime_identity()));
}

#[test]
fn an_authority_is_read_back_and_signs_only_good_requests() {
    let ca = CertificateAuthority::generate().unwrap();
    let again = CertificateAuthority::from_pem(ca.certificate_pem(), &ca.key_pem()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let chain = again.sign(csr.der(), &runtime_identity()).unwrap();
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    live.set_certificate(&chain, &key.serialize_pem()).unwrap();
    assert!(live.is_usable());

    let mut forged = csr.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(ca.sign(&forged, &runtime_identity()).is_err());
    assert!(ca.sign(&[], &runtime_identity()).is_err());
    assert!(ca.sign(&vec![0x30; 100_000], &runtime_identity()).is_err());
    let other = CertificateAuthority::generate().unwrap();
    assert!(CertificateAuthority::from_pem(ca.certificate_pem(), &other.key_pem()).is_err());
}
