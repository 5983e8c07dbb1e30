//! What goes on for as long as the operator runs. None of it ends by itself.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use super::base::Base;
use crate::api::{Front, Registration};
use crate::args::Args;
use crate::builder_client::Builder;
use crate::classes::{ClassBook, Keeper};
use crate::daemonset::{self, RuntimeSettings};
use crate::dispatch::{self, Dispatch};
use crate::events::{self, Told};
use crate::health;
use crate::streams::grants::GrantBook;
use crate::values;
use crate::watch as watches;
use crate::write::Writer;
use crate::write::execute::ApiServer;

/// See the module. A task that ends shows that something is wrong.
pub(super) struct Background<'a> {
    base: &'a Base,
    tasks: JoinSet<()>,
}

impl<'a> Background<'a> {
    pub(super) fn of(base: &'a Base) -> Self {
        Self {
            base,
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn tasks(self) -> JoinSet<()> {
        self.tasks
    }

    /// What is read of the API server: objects, the credentials of classes, and the values of Apps.
    pub(super) fn read(&mut self, classes: Arc<ClassBook>) {
        let Base {
            ground, leadership, ..
        } = self.base;
        let (client, namespace) = (ground.client.clone(), ground.namespace.clone());
        let (world, health) = (ground.world.clone(), ground.health.clone());
        self.tasks
            .spawn(async move { watches::all(client, &namespace, world, health).await });
        let keeper = Keeper {
            client: ground.client.clone(),
            namespace: ground.namespace.clone(),
            world: ground.world.clone(),
            hub: self.base.hub.clone(),
            leadership: leadership.clone(),
            book: classes,
        };
        self.tasks.spawn(keeper.run(ground.beat("classes", 120)));
        let reader = values::Reader::new(
            ground.client.clone(),
            ground.world.clone(),
            leadership.clone(),
        );
        self.tasks.spawn(reader.run(ground.beat("values", 60)));
    }

    /// What is said: to people in Events, to the API server in writes, to the other parts on their streams.
    pub(super) fn say(
        &mut self,
        (told, pod_name): (Told, String),
        writer: Arc<Writer<ApiServer>>,
        dispatched: mpsc::Receiver<Dispatch>,
        (grants, classes): (Arc<GrantBook>, Arc<ClassBook>),
    ) {
        let Base { ground, hub, .. } = self.base;
        self.tasks
            .spawn(events::publish(ground.client.clone(), pod_name, told));
        let beat = ground.beat("writer", 120);
        self.tasks.spawn(async move { writer.run(beat).await });
        self.tasks.spawn(dispatch::run(
            dispatched,
            ground.world.clone(),
            hub.clone(),
            grants,
            classes,
        ));
    }

    /// Who is there: runtimes on their streams, and the builder.
    pub(super) fn listen(&mut self, builder: Arc<Builder>) {
        let Base { ground, hub, .. } = self.base;
        let (hub, beat) = (hub.clone(), ground.beat("streams", 15));
        self.tasks.spawn(async move { hub.watch(beat).await });
        let beat = ground.beat("builder", 60);
        self.tasks.spawn(async move { builder.watch(beat).await });
        tokio::spawn(health::follow_reports(
            ground.health.clone(),
            ground.world.clone(),
        ));
    }

    /// What others know us by: the certificate authority, and where the aggregated API is.
    pub(super) fn vouch(&mut self, front: Arc<Front>) {
        let Base {
            ground,
            authority,
            leadership,
            ..
        } = self.base;
        self.tasks.spawn(front.follow(ground.client.clone()));
        let registration = Registration {
            client: ground.client.clone(),
            authority: authority.ca.clone(),
            leadership: leadership.clone(),
            metrics: ground.metrics.clone(),
        };
        self.tasks.spawn(registration.keep());
        let own = authority.clone();
        self.tasks
            .spawn(async move { own.keep_certificate().await });
        let (own, client, namespace) = (
            authority.clone(),
            ground.client.clone(),
            ground.namespace.clone(),
        );
        let (leadership, metrics) = (leadership.clone(), ground.metrics.clone());
        self.tasks.spawn(async move {
            own.keep_bundle(client, namespace, leadership, metrics)
                .await
        });
    }

    /// The runtimes' DaemonSet.
    pub(super) fn deploy(&mut self, args: Args) {
        let ground = &self.base.ground;
        let Some(image) = args.image else {
            warn!("no --image: runtimes are not deployed");
            return;
        };
        let settings = RuntimeSettings {
            image,
            memory: args.runtime_memory,
            namespace: args.namespace,
        };
        self.tasks.spawn(daemonset::keep(
            ground.client.clone(),
            settings,
            self.base.leadership.clone(),
            ground.metrics.clone(),
            ground.stopping.clone(),
        ));
    }
}
