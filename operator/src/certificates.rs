//! Signs the certificates of parts that prove which pod they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shoal_protocol::server::Peer;
use shoal_protocol::v1::certificates_server::Certificates;
use shoal_protocol::v1::{SignRequest, SignResponse};
use shoal_protocol::{Identity, Role};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use crate::ca::Authority;
use crate::pods::{Part, ProvenPod, Prover, Rejection};

/// Longest token that is looked at; a real one has some 1,200 bytes.
const TOKEN_BYTES: usize = 16 * 1024;
/// Requests at once; each asks the API server up to four times.
const AT_ONCE: usize = 16;
/// One address may ask this often at once, and then once for every `REFILL`.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_secs(2);
const ADDRESSES: usize = 4096;

/// The service `shoal.v1.Certificates`. Every replica serves it.
pub struct CertificatesService {
    authority: Authority,
    prover: Prover,
    slots: Semaphore,
    rate: Mutex<Rate>,
}

impl CertificatesService {
    /// Signs with `authority` for the pods that `prover` accepts.
    pub fn new(authority: Authority, prover: Prover) -> Self {
        Self {
            authority,
            prover,
            slots: Semaphore::new(AT_ONCE),
            rate: Mutex::default(),
        }
    }

    fn certify(&self, pod: &ProvenPod, csr: &[u8]) -> Result<SignResponse, Status> {
        let role = match pod.part {
            Part::Runtime => Role::Runtime,
            Part::Builder => Role::Builder,
            Part::Store => Role::Store,
        };
        let pool = pod.pool.as_deref().unwrap_or_default();
        let identity = Identity::new(role, pool, &pod.node, &pod.uid)
            .map_err(|error| Status::permission_denied(error.to_string()))?;
        let chain = self
            .authority
            .ca
            .sign(csr, &identity)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        info!(%identity, "signed a certificate");
        Ok(SignResponse {
            certificate_chain: chain,
            bundle: self.authority.ca.certificate_pem().to_owned(),
        })
    }
}

#[tonic::async_trait]
impl Certificates for CertificatesService {
    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let address = request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.address().ip());
        let admitted = address.is_some_and(|ip| self.rate.lock().admit(ip, Instant::now()));
        let slot = self.slots.try_acquire();
        let (true, Ok(_slot)) = (admitted, slot) else {
            return Err(Status::resource_exhausted(
                "too many requests: ask again in a few seconds",
            ));
        };
        let request = request.into_inner();
        if request.token.len() > TOKEN_BYTES {
            return Err(Status::invalid_argument("the token is too long"));
        }
        match self.prover.prove(&request.token).await {
            Ok(pod) => Ok(Response::new(self.certify(&pod, &request.csr)?)),
            Err(rejection) => {
                warn!(address = ?address, reason = %rejection, "refused to sign a certificate");
                Err(status(&rejection))
            }
        }
    }
}

fn status(rejection: &Rejection) -> Status {
    let message = rejection.to_string();
    match rejection {
        Rejection::Token(_) => Status::unauthenticated(message),
        Rejection::Pod(_) => Status::permission_denied(message),
        Rejection::Unavailable(_) => Status::unavailable(message),
    }
}

/// How often an address may ask.
#[derive(Default)]
struct Rate {
    spent: HashMap<IpAddr, (u32, Instant)>,
}

impl Rate {
    fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.spent.len() >= ADDRESSES {
            self.spent
                .retain(|_, (_, since)| now.duration_since(*since) < REFILL * BURST);
        }
        if self.spent.len() >= ADDRESSES && !self.spent.contains_key(&address) {
            return false;
        }
        let (spent, since) = self.spent.entry(address).or_insert((0, now));
        let periods = now.duration_since(*since).as_millis() / REFILL.as_millis();
        let refilled = u32::try_from(periods).unwrap_or(u32::MAX);
        *spent = spent.saturating_sub(refilled);
        *since += REFILL * refilled.min(BURST * 1000);
        if *spent == 0 {
            *since = now;
        }
        let admitted = *spent < BURST;
        if admitted {
            *spent += 1;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn an_address_that_asks_without_pause_is_slowed_down() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let admitted = (0..100).filter(|_| rate.admit(ADDRESS, start)).count();
        assert_eq!(admitted, BURST as usize);
        assert!(rate.admit(ADDRESS, start + REFILL));
        assert!(!rate.admit(ADDRESS, start + REFILL));
    }

    #[test]
    fn one_address_does_not_slow_down_another() {
        let mut rate = Rate::default();
        let now = Instant::now();
        while rate.admit(ADDRESS, now) {}
        assert!(rate.admit("10.0.0.1".parse().unwrap(), now));
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let mut rate = Rate::default();
        let now = Instant::now();
        for n in 0..10_000_u32 {
            rate.admit(IpAddr::V4(n.into()), now);
        }
        assert!(rate.spent.len() <= ADDRESSES);
        assert!(rate.admit(IpAddr::V4(9_999.into()), now + REFILL * BURST));
    }
}
