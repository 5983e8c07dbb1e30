//! What every part of the operator is given.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::warn;

use crate::args::{Args, EmbeddedStore};
use crate::ca::{self, Authority};
use crate::events::Events;
use crate::health::Health;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::streams::hub::Hub;
use crate::world::World;

/// What there is before anything is known and this replica's identity is open.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) client: kube::Client,
    pub(super) namespace: String,
    pub(super) world: Arc<World>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    /// True once everything is to end.
    pub(super) stopping: watch::Receiver<bool>,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) ground: Ground,
    pub(super) authority: Authority,
    pub(super) leadership: Leadership,
    pub(super) hub: Arc<Hub>,
    pub(super) events: Events,
}

impl Ground {
    /// An empty world, beside an API server that may not answer yet.
    ///
    /// # Errors
    /// No API server is known.
    pub(super) async fn new(args: &Args, stopping: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let client = client().await?;
        let world = Arc::new(World::new(Timestamp::now()));
        world.with(|index| {
            index.set_store_delete_grace(args.store_delete_grace);
            index.set_store_ephemeral(args.embedded_store == EmbeddedStore::Ephemeral);
        });
        Ok(Self {
            client,
            namespace: args.namespace.clone(),
            world,
            health: Arc::default(),
            metrics: Arc::default(),
            stopping,
        })
    }

    /// Tries until there is an authority: at first start the API server may still be busy with other things.
    pub(super) async fn authority(&self) -> Authority {
        loop {
            self.health
                .alive("certificate authority", Duration::from_secs(60));
            match ca::open(&self.client, &self.namespace).await {
                Ok(authority) => {
                    self.health.alive("certificate authority", Duration::MAX);
                    return authority;
                }
                Err(error) => warn!(%error, "no certificate authority yet; trying again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Signs of life of a part that gives one at least every so many seconds.
    pub(super) fn beat(&self, name: &'static str, patience: u64) -> impl Fn() + Send + use<> {
        let health = self.health.clone();
        move || health.alive(name, Duration::from_secs(patience))
    }

    /// Waits until everything is to end.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stopping.clone();
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }
}

async fn client() -> anyhow::Result<kube::Client> {
    let mut config = kube::Config::infer()
        .await
        .context("no API server is known: neither a service account nor a kubeconfig was found")?;
    // The write queue has a budget, deadlines and retries of its own.
    config.default_retry = false;
    kube::Client::try_from(config).context("cannot make a client of the API server")
}
