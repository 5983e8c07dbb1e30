//! The service `shoal.v1.Housekeeping`. Every replica serves it; only a leader has something to say.

use std::sync::Arc;

use jiff::Timestamp;
use shoal_plan::StoreUsage;
use shoal_protocol::v1::{
    self, FromHousekeeper, ToHousekeeper, from_housekeeper::Message,
    housekeeping_server::Housekeeping as Service,
};
use shoal_protocol::{Role, server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use super::Housekeeping;
use crate::streams::convert;

/// Messages that may wait for the store pod to read.
const WAITING: usize = 4;
/// Most Stores of one message.
const USAGES: usize = 1000;
/// Longest reason why data was not removed that is taken, in characters.
const PROBLEM_CHARS: usize = 1024;

/// See the module.
pub struct HousekeepingService(pub Arc<Housekeeping>);

#[tonic::async_trait]
impl Service for HousekeepingService {
    type ConnectStream = ReceiverStream<Result<ToHousekeeper, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<FromHousekeeper>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let pod: Arc<str> = server::require(&request, &[Role::Store])?.pod_uid().into();
        info!(pod = &*pod, "a store pod connected");
        let (outgoing, receiver) = mpsc::channel(WAITING);
        let (housekeeping, incoming) = (self.0.clone(), request.into_inner());
        tokio::spawn(async move {
            let (serial, session) = housekeeping.open(&pod);
            let ended = tokio::select! {
                () = session.speak(&housekeeping, &outgoing) => Ok(()),
                ended = listen(&housekeeping, &pod, incoming) => ended,
            };
            if housekeeping.close(serial) {
                housekeeping
                    .world
                    .change(|index| index.store_pod_health(&pod, Vec::new(), Timestamp::now()));
            }
            if let Err(status) = ended {
                info!(
                    pod = &*pod,
                    message = status.message(),
                    "the stream of a store pod ended"
                );
                let _ = outgoing.try_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn listen(
    of: &Housekeeping,
    pod: &str,
    mut incoming: Streaming<FromHousekeeper>,
) -> Result<(), Status> {
    while let Some(FromHousekeeper { message }) = incoming.message().await? {
        match message {
            Some(Message::Usages(usages)) => {
                let usages = usages_of(usages)?;
                of.world.change(|index| index.store_usages(usages));
            }
            Some(Message::Purged(purged)) => take_purged(of, purged),
            Some(Message::StoreHealth(health)) => {
                let health = convert::store_health(health);
                let health = health.map_err(|error| Status::invalid_argument(error.to_string()))?;
                of.world
                    .change(|index| index.store_pod_health(pod, health, Timestamp::now()));
            }
            // Of a later version of the protocol.
            None => {}
        }
    }
    Ok(())
}

fn usages_of(usages: v1::Usages) -> Result<Vec<(String, StoreUsage)>, Status> {
    if usages.usages.len() > USAGES {
        return Err(Status::invalid_argument(
            "more than 1000 stores in a message",
        ));
    }
    let one = |one: v1::Usage| {
        let usage = StoreUsage {
            keys: one.keys,
            bytes: one.bytes,
        };
        (one.store_id, usage)
    };
    Ok(usages.usages.into_iter().map(one).collect())
}

fn take_purged(of: &Housekeeping, purged: v1::Purged) {
    let v1::Purged { store_id, problem } = purged;
    let problem: String = problem.chars().take(PROBLEM_CHARS).collect();
    let problem = (!problem.is_empty()).then_some(problem);
    match &problem {
        None => info!(store = store_id, "the data of a store was removed"),
        Some(problem) => warn!(
            store = store_id,
            problem, "the data of a store is not removed yet"
        ),
    }
    of.world
        .change(|index| index.store_purged(&store_id, problem));
}
