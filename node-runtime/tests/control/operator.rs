//! An operator of the test's own.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use shoal_protocol::{
    CertificateAuthority, ClientAuth, Identity, LiveIdentity, Role, Trust,
    server::{self, Listener},
    v1::{
        self,
        control_server::{Control as ControlService, ControlServer},
        from_runtime, to_runtime,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// One replica: says what the test lets it say, and keeps what it hears.
#[derive(Clone)]
pub struct Operator {
    epoch: u64,
    say: Arc<Mutex<VecDeque<to_runtime::Message>>>,
    heard: Arc<Mutex<Vec<from_runtime::Message>>>,
}

#[tonic::async_trait]
impl ControlService for Operator {
    type ConnectStream = ReceiverStream<Result<v1::ToRuntime, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::FromRuntime>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let mut inbound = request.into_inner();
        let (sender, receiver) = mpsc::channel(16);
        let this = self.clone();
        tokio::spawn(async move {
            let message = |message| v1::ToRuntime {
                epoch: this.epoch,
                message: Some(message),
            };
            let welcome = v1::Welcome {
                protocol_version: 1,
                leader: true,
            };
            let _ = sender
                .send(Ok(message(to_runtime::Message::Welcome(welcome))))
                .await;
            let mut look = tokio::time::interval(Duration::from_millis(5));
            loop {
                tokio::select! {
                    heard = inbound.message() => match heard {
                        Ok(Some(v1::FromRuntime { message: Some(heard) })) => {
                            this.heard.lock().unwrap().push(heard);
                        }
                        _ => return,
                    },
                    _ = look.tick() => {
                        let next = this.say.lock().unwrap().pop_front();
                        if let Some(next) = next {
                            let _ = sender.send(Ok(message(next))).await;
                        }
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Operator {
    pub async fn serve(ca: &CertificateAuthority, epoch: u64) -> (Self, SocketAddr) {
        let operator = Self {
            epoch,
            say: Arc::default(),
            heard: Arc::default(),
        };
        let identity = part(ca, &Identity::new(Role::Operator, "", "", "").unwrap());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = listener.incoming(&identity, ClientAuth::Required).unwrap();
        let service = ControlServer::new(operator.clone());
        tokio::spawn(
            server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        (operator, address)
    }

    pub fn assign(&self, full: bool, set: Vec<v1::Assignment>) {
        let assignments = v1::Assignments {
            full,
            set,
            ..v1::Assignments::default()
        };
        self.say
            .lock()
            .unwrap()
            .push_back(to_runtime::Message::Assignments(assignments));
    }

    pub fn describe(&self, classes: Vec<v1::StoreClass>) {
        let classes = to_runtime::Message::StoreClasses(v1::StoreClasses {
            classes,
            keep: Vec::new(),
        });
        self.say.lock().unwrap().push_back(classes);
    }

    pub fn drained(&self) {
        let drained = to_runtime::Message::Drained(v1::Drained {});
        self.say.lock().unwrap().push_back(drained);
    }

    /// All that was said of the classes since the last hello.
    pub fn health(&self) -> Vec<v1::StoreHealth> {
        let heard = self.heard.lock().unwrap();
        let of_stream = heard
            .rsplit(|message| matches!(message, from_runtime::Message::Hello(_)))
            .next();
        let health = of_stream.into_iter().flatten();
        let health = health.filter_map(|message| match message {
            from_runtime::Message::StoreHealth(health) => Some(health.clone()),
            _ => None,
        });
        health.collect()
    }

    pub fn reports(&self) -> Vec<v1::AppReport> {
        let heard = self.heard.lock().unwrap();
        let reports = heard.iter().filter_map(|message| match message {
            from_runtime::Message::Report(report) => Some(report.apps.clone()),
            _ => None,
        });
        reports.flatten().collect()
    }

    pub fn heard(&self, wanted: impl Fn(&from_runtime::Message) -> bool) -> bool {
        self.heard.lock().unwrap().iter().any(wanted)
    }
}

/// Who a part is, under an authority of the test's.
pub fn part(ca: &CertificateAuthority, identity: &Identity) -> LiveIdentity {
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    let issued = ca.issue(identity).unwrap();
    live.set_certificate(&issued.certificate_chain, &issued.key)
        .unwrap();
    live
}
