//! Asks the builder, and brings its answers to the index.

mod pull_secrets;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use shoal_crds::Reason;
use shoal_plan::{AppKey, Built, Question, Refusal};
use shoal_protocol::client::ConnectError;
use shoal_protocol::v1::builder_client::BuilderClient;
use shoal_protocol::v1::{self, build_response};
use shoal_protocol::{LiveIdentity, Role, client};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use crate::world::World;
use pull_secrets::PullSecrets;
use wire::{judge, plan_description, plan_refusal, timed};

const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);
const BUILD_DEADLINE: Duration = Duration::from_secs(180);
const KEYS_DEADLINE: Duration = Duration::from_secs(5);
/// Resolutions at once: each waits for a registry.
const RESOLUTIONS: usize = 32;
/// Builds at once: the builder decides how many it compiles at once.
const BUILDS: usize = 16;
/// How often a builder that does not answer is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How often one that answers is asked for its keys.
const KEYS_EVERY: Duration = Duration::from_secs(15);
/// An App that was never built says so when the builder has been away for this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The builder, as the planner's questions reach it.
pub struct Builder {
    client: BuilderClient<Channel>,
    secrets: PullSecrets,
    world: Arc<World>,
    resolutions: Semaphore,
    builds: Semaphore,
    state: Mutex<State>,
    tell_keys: Box<dyn Fn(Vec<Bytes>) + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Questions that the newest plan of each App asks.
    open: HashMap<AppKey, Vec<Question>>,
    asked: HashSet<Question>,
    /// Questions that wait for the builder to come back.
    parked: HashSet<Question>,
    away_since: Option<Instant>,
}

/// How a question ended.
enum Outcome<T> {
    Answer(Result<T, Refusal>),
    Unavailable(String),
}

impl Builder {
    /// `target`: `host:port`. `tell_keys` gets the keys that sign code now, whenever they are read.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(
        target: &str,
        identity: &LiveIdentity,
        kube: kube::Client,
        world: Arc<World>,
        tell_keys: impl Fn(Vec<Bytes>) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, ConnectError> {
        let channel = client::channel(target, Role::Builder, identity)?;
        Ok(Arc::new(Self {
            client: BuilderClient::new(channel).max_decoding_message_size(16 * 1024 * 1024),
            secrets: PullSecrets::new(kube),
            world,
            resolutions: Semaphore::new(RESOLUTIONS),
            builds: Semaphore::new(BUILDS),
            state: Mutex::default(),
            tell_keys: Box::new(tell_keys),
        }))
    }

    /// These are the questions that the newest plan of an App asks. Each is asked once at a time.
    pub fn ask(self: &Arc<Self>, app: &AppKey, questions: Vec<Question>) {
        let mut state = self.state.lock();
        let new: Vec<Question> = questions
            .iter()
            .filter(|question| !state.parked.contains(question))
            .filter(|question| !state.asked.contains(question))
            .cloned()
            .collect();
        state.asked.extend(new.iter().cloned());
        if questions.is_empty() {
            state.open.remove(app);
        } else {
            state.open.insert(app.clone(), questions);
        }
        drop(state);
        for question in new {
            tokio::spawn(self.clone().answer(question, false));
        }
    }

    /// Forgets every question: this replica does not lead any more.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.open.clear();
        state.parked.clear();
    }

    /// Follows whether the builder is there, and its keys, for as long as it is polled.
    pub async fn watch(self: &Arc<Self>, alive: impl Fn()) {
        loop {
            alive();
            let mut client = self.client.clone();
            let request = timed(v1::CodeKeysRequest {}, KEYS_DEADLINE);
            let pause = match client.code_keys(request).await {
                Ok(answer) => {
                    (self.tell_keys)(answer.into_inner().keys);
                    self.is_back();
                    KEYS_EVERY
                }
                Err(status) => {
                    self.is_away(&status);
                    TRY_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn is_back(self: &Arc<Self>) {
        let parked = {
            let mut state = self.state.lock();
            if state.away_since.take().is_some() {
                info!("the builder answers again");
                self.world.forget_told_unavailable();
            }
            let parked = std::mem::take(&mut state.parked);
            state.asked.extend(parked.iter().cloned());
            parked
        };
        for question in parked {
            tokio::spawn(self.clone().answer(question, true));
        }
    }

    fn is_away(&self, status: &Status) {
        let waiting: Vec<Question> = {
            let mut state = self.state.lock();
            let since = state.away_since.get_or_insert_with(|| {
                warn!(
                    message = status.message(),
                    "the builder does not answer; trying again"
                );
                Instant::now()
            });
            if since.elapsed() < PATIENCE {
                return;
            }
            state.parked.iter().cloned().collect()
        };
        for question in waiting {
            self.tell_unavailable(&question, status.message());
        }
    }

    /// An App that was built before keeps what its status says: it goes on running.
    fn tell_unavailable(&self, question: &Question, why: &str) {
        let (Question::Resolve { app, .. } | Question::Build { app, .. }) = question;
        if self.world.is_told_unavailable(app) {
            return;
        }
        let refusal = Refusal {
            reason: Reason::BuilderUnavailable.to_string(),
            message: format!("the builder cannot be reached ({why}); it is tried again by itself"),
            retry_after_seconds: 5,
        };
        self.world.note_told_unavailable(app);
        match question {
            Question::Resolve { .. } => self.resolved(question, Err(refusal)),
            Question::Build { .. } => self.built(question, Err(refusal)),
        }
    }

    async fn answer(self: Arc<Self>, question: Question, again: bool) {
        let outcome = match &question {
            Question::Resolve { .. } => {
                let Ok(_slot) = self.resolutions.acquire().await else {
                    return;
                };
                if !again && !self.is_open(&question) {
                    return;
                }
                match self.resolve(&question).await {
                    Outcome::Answer(answer) => {
                        self.resolved(&question, answer);
                        Ok(())
                    }
                    Outcome::Unavailable(why) => Err(why),
                }
            }
            Question::Build { .. } => {
                let Ok(_slot) = self.builds.acquire().await else {
                    return;
                };
                if !again && !self.is_open(&question) {
                    return;
                }
                match self.build(&question).await {
                    Outcome::Answer(answer) => {
                        self.built(&question, answer);
                        Ok(())
                    }
                    Outcome::Unavailable(why) => Err(why),
                }
            }
        };
        let mut state = self.state.lock();
        state.asked.remove(&question);
        if let Err(why) = outcome {
            debug!(why, "a question to the builder waits until it is back");
            state.parked.insert(question);
        }
    }

    /// Whether the newest plan still asks this; if not, it counts as not asked.
    fn is_open(&self, question: &Question) -> bool {
        let (Question::Resolve { app, .. } | Question::Build { app, .. }) = question;
        let mut state = self.state.lock();
        let open = state
            .open
            .get(app)
            .is_some_and(|questions| questions.contains(question));
        if !open {
            state.asked.remove(question);
        }
        open
    }

    async fn source(
        &self,
        app: &AppKey,
        image: &str,
        named: &[String],
    ) -> Result<v1::ImageSource, Refusal> {
        let pull_secrets = self.secrets.read(&app.namespace, named).await?;
        let registries = self.world.with(|index| index.registries().clone());
        Ok(v1::ImageSource {
            image: image.to_owned(),
            pull_secrets: pull_secrets.into_iter().map(Bytes::from).collect(),
            registries: Some(v1::RegistryPolicy {
                insecure: registries.insecure,
                ca: registries.ca.unwrap_or_default(),
            }),
        })
    }

    async fn resolve(&self, question: &Question) -> Outcome<String> {
        let Question::Resolve {
            app,
            image,
            pull_secrets,
        } = question
        else {
            return Outcome::Unavailable("no such question".into());
        };
        let source = match self.source(app, image, pull_secrets).await {
            Ok(source) => source,
            Err(refusal) => return Outcome::Answer(Err(refusal)),
        };
        let request = timed(
            v1::ResolveRequest {
                source: Some(source),
            },
            RESOLVE_DEADLINE,
        );
        match self
            .client
            .clone()
            .resolve(request)
            .await
            .map(tonic::Response::into_inner)
        {
            Ok(answer) => Outcome::Answer(match answer.refusal {
                Some(refusal) => Err(plan_refusal(refusal)),
                None => Ok(answer.digest),
            }),
            Err(status) => judge(&status, Reason::RegistryUnavailable, RESOLVE_DEADLINE),
        }
    }

    async fn build(&self, question: &Question) -> Outcome<Built> {
        let Question::Build {
            app,
            image,
            pull_secrets,
            digest,
            engine_keys,
        } = question
        else {
            return Outcome::Unavailable("no such question".into());
        };
        let source = match self.source(app, image, pull_secrets).await {
            Ok(source) => source,
            Err(refusal) => return Outcome::Answer(Err(refusal)),
        };
        let request = v1::BuildRequest {
            source: Some(source),
            digest: digest.clone(),
            engine_keys: engine_keys.iter().cloned().collect(),
        };
        let request = timed(request, BUILD_DEADLINE);
        match self
            .client
            .clone()
            .build(request)
            .await
            .map(tonic::Response::into_inner)
        {
            Ok(answer) => match answer.outcome {
                Some(build_response::Outcome::Description(description)) => {
                    Outcome::Answer(Ok(Built {
                        description: plan_description(description),
                        engine_keys: answer.engine_keys.into_iter().collect(),
                    }))
                }
                Some(build_response::Outcome::Refusal(refusal)) => {
                    Outcome::Answer(Err(plan_refusal(refusal)))
                }
                None => Outcome::Unavailable("the builder answered nothing".into()),
            },
            Err(status) => judge(&status, Reason::CompileTimeout, BUILD_DEADLINE),
        }
    }

    fn resolved(&self, question: &Question, answer: Result<String, Refusal>) {
        if let Question::Resolve { app, image, .. } = question {
            let now = Timestamp::now();
            self.world
                .change(|index| index.resolved(app, image, answer, now));
        }
    }

    fn built(&self, question: &Question, answer: Result<Built, Refusal>) {
        if let Question::Build {
            image,
            digest,
            engine_keys,
            ..
        } = question
        {
            let now = Timestamp::now();
            self.world
                .change(|index| index.built(image, digest, engine_keys, answer, now));
        }
    }
}
