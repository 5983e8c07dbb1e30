//! How a part gets its certificate from the operator, and keeps it fresh.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::CertificateParams;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use crate::{
    LiveIdentity, Role, TlsError, Trust,
    ca::new_key,
    client::{self, ConnectError},
    flags::IdentityFlags,
    identity_file, state_file,
    trust::MAX_BUNDLE_BYTES,
    v1::{SignRequest, certificates_client::CertificatesClient},
};

/// How long a part waits for its bundle at start: kubelet mounts an optional ConfigMap that was missing
/// only when it starts the container again.
const BUNDLE_DEADLINE: Duration = Duration::from_secs(3);
/// How often the bundle file is read.
const BUNDLE_POLL: Duration = Duration::from_secs(5);
/// One replica of the operator may take this long to sign (it asks the API server).
const SIGN_DEADLINE: Duration = Duration::from_secs(10);
/// A token is about a kilobyte.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;
/// The due time is looked at again after this: clocks may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Why a part cannot start, or has no certificate yet.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No usable bundle of authorities.
    #[error(
        "no certificate authorities at {}: {error}; the operator writes ConfigMap `shoal-ca-bundle`, \
         and this container has to be started again to see it",
        path.display()
    )]
    NoBundle {
        /// `--ca-file`.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The token cannot be read.
    #[error("the service-account token at {} cannot be read: {error}", path.display())]
    Token {
        /// `--token-file`.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// No key could be made.
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
    /// The operator's name does not resolve.
    #[error("the operator cannot be found: {0}")]
    Resolve(io::Error),
    /// No replica could be connected to.
    #[error("the operator cannot be reached: {0}")]
    Connect(#[from] ConnectError),
    /// The operator refused.
    #[error("the operator at {address} refused to sign: {} ({:?})", status.message(), status.code())]
    Refused {
        /// Which replica.
        address: String,
        /// Its answer.
        status: Status,
    },
    /// The operator's answer is of no use.
    #[error("the operator's answer cannot be used: {0}")]
    Answer(#[from] TlsError),
}

/// The identity of this part. Reads the authorities, then uses the certificate that an earlier container
/// of the pod left, if it is still good; else asks the operator for one in the background. It may
/// therefore have none yet: see [`LiveIdentity::ready`]. From then on certificate and authorities are
/// kept fresh for as long as the process lives.
///
/// # Errors
/// [`EnrolmentError::NoBundle`] after 3 s.
pub async fn start(flags: &IdentityFlags) -> Result<LiveIdentity, EnrolmentError> {
    let identity = LiveIdentity::new(first_bundle(&flags.ca_file).await?);
    match identity_file::load(&flags.identity_dir, &identity) {
        Ok(()) if identity.is_usable() => tracing::info!("using the certificate that was kept"),
        Ok(()) => tracing::info!("the certificate that was kept is no longer valid"),
        Err(identity_file::LoadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(
            path = %identity_file::path(&flags.identity_dir).display(),
            %error,
            "the certificate that was kept cannot be read"
        ),
    }
    tokio::spawn(follow_bundle(identity.clone(), flags.ca_file.clone()));
    tokio::spawn(keep_fresh(identity.clone(), flags.clone()));
    Ok(identity)
}

async fn first_bundle(path: &Path) -> Result<Trust, EnrolmentError> {
    let deadline = Instant::now() + BUNDLE_DEADLINE;
    loop {
        match read_bundle(path) {
            Ok(trust) => return Ok(trust),
            Err(error) if Instant::now() >= deadline => {
                return Err(EnrolmentError::NoBundle {
                    path: path.to_owned(),
                    error,
                });
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn read_bundle(path: &Path) -> Result<Trust, String> {
    let pem = state_file::read_text(path, MAX_BUNDLE_BYTES).map_err(|error| error.to_string())?;
    Trust::from_pem(&pem).map_err(|error| error.to_string())
}

/// Trusts what the bundle file says whenever it changes; a file that cannot be read changes nothing.
async fn follow_bundle(identity: LiveIdentity, path: PathBuf) {
    // Compared with the file's earlier content, not with what is trusted: the operator's answer to a
    // signing request may be ahead of the file.
    let mut seen = identity.trust().pem().to_owned();
    loop {
        sleep(BUNDLE_POLL).await;
        match state_file::read_text(&path, MAX_BUNDLE_BYTES) {
            Ok(pem) if pem == seen => {}
            Ok(pem) => {
                match Trust::from_pem(&pem) {
                    Ok(trust) => {
                        tracing::info!(path = %path.display(), "the certificate authorities changed");
                        identity.set_trust(trust);
                    }
                    Err(error) => tracing::warn!(path = %path.display(), %error, "left as it was"),
                }
                seen = pem;
            }
            Err(error) => tracing::debug!(path = %path.display(), %error, "cannot be read"),
        }
    }
}

/// Asks for a new certificate at half the life of the one in use, or at once where that is of no use.
async fn keep_fresh(identity: LiveIdentity, flags: IdentityFlags) {
    let mut changes = identity.watch();
    let mut backoff = FIRST_BACKOFF;
    loop {
        changes.borrow_and_update();
        let due = identity.renew_in();
        if !due.is_zero() {
            tokio::select! {
                () = sleep(due.min(LOOK_AGAIN)) => {}
                _ = changes.changed() => {}
            }
            continue;
        }
        match enrol(&identity, &flags).await {
            Ok(()) => {
                backoff = FIRST_BACKOFF;
                // However short its life: never a stream of requests.
                sleep(FIRST_BACKOFF).await;
            }
            Err(error) => {
                tracing::warn!(%error, retry_in = ?backoff, "no new certificate");
                sleep(jittered(backoff)).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}

/// One new key and certificate from whichever replica signs first.
async fn enrol(identity: &LiveIdentity, flags: &IdentityFlags) -> Result<(), EnrolmentError> {
    let key = new_key()?;
    let csr = CertificateParams::default().serialize_request(&key)?;
    let mut addresses = client::resolve(&flags.operator)
        .await
        .map_err(EnrolmentError::Resolve)?;
    let start = usize::try_from(clock_noise()).unwrap_or(0) % addresses.len().max(1);
    addresses.rotate_left(start);

    let mut last = None;
    for address in addresses {
        // kubelet replaces the file long before the token in it expires.
        let token = read_token(&flags.token_file)?;
        let request = SignRequest {
            token,
            csr: csr.der().to_vec().into(),
        };
        match sign(identity, &address.to_string(), request).await {
            Ok(answer) => {
                let key_pem = key.serialize_pem();
                accept(
                    identity,
                    &answer.bundle,
                    &answer.certificate_chain,
                    &key_pem,
                )?;
                let name = identity.identity().map(|identity| identity.to_string());
                tracing::info!(identity = name.unwrap_or_default(), "new certificate");
                keep(&flags.identity_dir, &answer.certificate_chain, &key_pem);
                return Ok(());
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| EnrolmentError::Resolve(io::ErrorKind::NotFound.into())))
}

/// Shows the token to one replica. The certificate in use is not shown: the operator may no longer
/// accept it, and would then refuse the connection as a whole.
async fn sign(
    identity: &LiveIdentity,
    address: &str,
    request: SignRequest,
) -> Result<crate::v1::SignResponse, EnrolmentError> {
    let channel = client::connect(address, Role::Operator, &identity.without_certificate()).await?;
    let answer = timeout(
        SIGN_DEADLINE,
        CertificatesClient::new(channel).sign(request),
    )
    .await
    .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| EnrolmentError::Refused {
            address: address.to_owned(),
            status,
        })
}

/// Takes a signed answer into use, unless the certificate would not be of use under its bundle.
fn accept(
    identity: &LiveIdentity,
    bundle: &str,
    chain: &str,
    key: &str,
) -> Result<(), EnrolmentError> {
    let trial = LiveIdentity::new(Trust::from_pem(bundle)?);
    trial.set_certificate(chain, key)?;
    if !trial.is_usable() {
        let what = "no authority of its bundle signed the certificate, or it is not valid now";
        return Err(TlsError::Certificate(what.to_owned()).into());
    }
    if identity.trust().pem() != bundle {
        identity.set_trust(Trust::from_pem(bundle)?);
    }
    Ok(identity.set_certificate(chain, key)?)
}

fn keep(folder: &Path, chain: &str, key: &str) {
    if let Err(error) = identity_file::save(folder, chain, key) {
        tracing::warn!(folder = %folder.display(), %error, "the certificate cannot be kept for a restart");
    }
}

fn read_token(path: &Path) -> Result<String, EnrolmentError> {
    let fail = |error| EnrolmentError::Token {
        path: path.to_owned(),
        error,
    };
    let token = state_file::read_text(path, MAX_TOKEN_BYTES)
        .map_err(fail)?
        .trim()
        .to_owned();
    if token.is_empty() {
        return Err(fail(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it is empty",
        )));
    }
    Ok(token)
}

/// Between three quarters and all of `duration`, so that parts that failed together do not return together.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.75 + 0.25 * f64::from(clock_noise() % 1000) / 1000.0)
}

fn clock_noise() -> u32 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos() / 100)
}
