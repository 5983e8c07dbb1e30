//! The stream of one runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use shoal_protocol::v1::control_server::Control;
use shoal_protocol::v1::from_runtime::Message;
use shoal_protocol::v1::{FromRuntime, ToRuntime};
use shoal_protocol::{Role, server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

use super::convert;
use super::hub::Hub;
use super::pace::Paces;
use crate::notices::Notices;
use crate::world::World;

/// A runtime says Hello by then.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// A stream on which nothing came for this long is closed; the runtime was lost long before.
const IDLE_DEADLINE: Duration = Duration::from_secs(20);
/// Messages to a runtime that may wait for it to read.
const WAITING: usize = 64;

/// The service `shoal.v1.Control`. Every replica serves it.
pub struct ControlService {
    hub: Arc<Hub>,
    world: Arc<World>,
    notices: Notices,
    paces: Arc<Paces>,
}

impl ControlService {
    /// Streams end in `hub`, reports in `world`, and what people are to know in `notices`.
    pub fn new(hub: Arc<Hub>, world: Arc<World>, notices: Notices) -> Self {
        Self {
            hub,
            world,
            notices,
            paces: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    type ConnectStream = ReceiverStream<Result<ToRuntime, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<FromRuntime>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let identity = server::require(&request, &[Role::Runtime])?.clone();
        let (outgoing, receiver) = mpsc::channel(WAITING);
        let reader = Reader {
            hub: self.hub.clone(),
            world: self.world.clone(),
            notices: self.notices.clone(),
            paces: self.paces.clone(),
            pod: identity.pod_uid().into(),
            node: identity.node().to_owned(),
            outgoing,
        };
        let incoming = request.into_inner();
        tokio::spawn(async move { reader.run(incoming).await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Reader {
    hub: Arc<Hub>,
    world: Arc<World>,
    notices: Notices,
    paces: Arc<Paces>,
    pod: Arc<str>,
    node: String,
    outgoing: mpsc::Sender<Result<ToRuntime, Status>>,
}

impl Reader {
    async fn run(self, mut incoming: Streaming<FromRuntime>) {
        let greeted = self.greet(&mut incoming).await;
        if let Err(status) = &greeted {
            debug!(message = status.message(), "a runtime's stream was refused");
            let _ = self.outgoing.try_send(Err(status.clone()));
        }
        drop(self.outgoing);
        if let Ok(conversation) = greeted {
            conversation.run(&mut incoming).await;
        }
    }

    async fn greet(&self, incoming: &mut Streaming<FromRuntime>) -> Result<Conversation, Status> {
        let hello = match next(incoming, HELLO_DEADLINE).await? {
            Some(Message::Hello(hello)) => hello,
            _ => return Err(Status::invalid_argument("the first message must be Hello")),
        };
        let version = hello.version.chars().take(64).collect::<String>();
        let hello = convert::hello(hello).map_err(malformed)?;
        info!(
            node = self.node,
            pod = &*self.pod,
            version,
            "a runtime connected"
        );
        let serial = self.hub.open(&self.pod, &self.node, self.outgoing.clone());
        self.world
            .change(|index| index.runtime_hello(&self.pod, hello));
        Ok(Conversation {
            hub: self.hub.clone(),
            world: self.world.clone(),
            notices: self.notices.clone(),
            paces: self.paces.clone(),
            pod: self.pod.clone(),
            serial,
            // Only the hub holds the way out from here on: when it gives the stream up, the stream ends.
            outgoing: self.outgoing.downgrade(),
        })
    }
}

/// A stream whose runtime has said Hello.
struct Conversation {
    hub: Arc<Hub>,
    world: Arc<World>,
    notices: Notices,
    paces: Arc<Paces>,
    pod: Arc<str>,
    serial: u64,
    outgoing: mpsc::WeakSender<Result<ToRuntime, Status>>,
}

impl Conversation {
    async fn run(self, incoming: &mut Streaming<FromRuntime>) {
        if let Err(status) = self.listen(incoming).await {
            info!(
                pod = &*self.pod,
                message = status.message(),
                "a runtime's stream ended"
            );
            if let Some(outgoing) = self.outgoing.upgrade() {
                let _ = outgoing.try_send(Err(status));
            }
        }
        self.hub.close(&self.pod, self.serial);
    }

    async fn listen(&self, incoming: &mut Streaming<FromRuntime>) -> Result<(), Status> {
        loop {
            let message = tokio::select! {
                message = next(incoming, IDLE_DEADLINE) => message?,
                () = gone(&self.outgoing) => return Ok(()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            if !self.hub.is_current(&self.pod, self.serial) {
                return Err(Status::aborted("another stream of this pod took over"));
            }
            if !self.paces.admit(&self.pod, apps(&message), Instant::now()) {
                return Err(Status::resource_exhausted(
                    "too many messages, or too large",
                ));
            }
            self.take(message)?;
        }
    }

    fn take(&self, message: Message) -> Result<(), Status> {
        let Self {
            hub,
            world,
            pod,
            serial,
            ..
        } = self;
        match message {
            Message::Hello(_) => return Err(Status::invalid_argument("Hello comes once")),
            Message::Heartbeat(_) => hub.hear(pod, *serial, |_| {}),
            Message::Report(report) => {
                let full = report.full;
                if !full && !hub.has_reported(pod, *serial) {
                    return Err(Status::invalid_argument(
                        "the first report must be a full one",
                    ));
                }
                let (apps, removed) = convert::report(report).map_err(malformed)?;
                world.change(|index| index.runtime_report(pod, full, apps, &removed));
                hub.hear(pod, *serial, |session| session.reported |= full);
            }
            Message::Draining(_) => {
                info!(pod = &**pod, "a runtime is about to end");
                hub.hear(pod, *serial, |session| session.draining = true);
                world.change(|index| index.runtime_draining(pod));
            }
            Message::StoreHealth(health) => {
                let health = convert::store_health(health).map_err(malformed)?;
                let now = Timestamp::now();
                world.change(|index| index.store_health(pod, health, now));
                hub.hear(pod, *serial, |_| {});
            }
            Message::Notice(notice) => {
                let (app, reason, message) = convert::notice(notice).map_err(malformed)?;
                self.notices.take(pod, &app, &reason, message);
                hub.hear(pod, *serial, |_| {});
            }
        }
        Ok(())
    }
}

/// Of how many apps a message speaks.
fn apps(message: &Message) -> usize {
    match message {
        Message::Report(report) => report.apps.len() + report.removed.len(),
        _ => 0,
    }
}

/// Waits until nobody can send on the stream any more.
async fn gone(outgoing: &mpsc::WeakSender<Result<ToRuntime, Status>>) {
    loop {
        match outgoing.upgrade() {
            None => return,
            Some(sender) if sender.is_closed() => return,
            Some(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn malformed(error: convert::Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

async fn next(
    incoming: &mut Streaming<FromRuntime>,
    deadline: Duration,
) -> Result<Option<Message>, Status> {
    let message = tokio::time::timeout(deadline, incoming.message())
        .await
        .map_err(|_| Status::deadline_exceeded("nothing was heard in time"))??;
    match message {
        None => Ok(None),
        // A message of a later version of the protocol says at least that the runtime lives.
        Some(FromRuntime { message }) => Ok(Some(
            message.unwrap_or(Message::Heartbeat(Default::default())),
        )),
    }
}
