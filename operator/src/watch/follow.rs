//! One watch that never gives up.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::Resource;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Config, Event, InitialListStrategy, watcher};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a watch says.
#[derive(Debug)]
pub enum Change<K> {
    /// The object is like this now.
    Apply(K),
    /// The object is gone.
    Delete(K),
    /// These are all that exist; each was checked to be readable.
    Reset(Vec<K>),
}

/// Watches objects whose shape the API server guarantees.
pub async fn follow<K>(api: Api<K>, config: Config, sink: impl FnMut(Change<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    run(api, config, sink).await;
}

/// Watches objects whose shape users decide: one that cannot be read is named in the log and left out, the others go
/// on.
pub async fn follow_guarded<K>(
    api: Api<DeserializeGuard<K>>,
    config: Config,
    mut sink: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    run(api, config, |change| match change {
        Change::Apply(object) => readable(object)
            .into_iter()
            .for_each(|o| sink(Change::Apply(o))),
        Change::Delete(object) => readable(object)
            .into_iter()
            .for_each(|o| sink(Change::Delete(o))),
        Change::Reset(objects) => {
            sink(Change::Reset(
                objects.into_iter().filter_map(readable).collect(),
            ));
        }
    })
    .await;
}

fn readable<K>(object: DeserializeGuard<K>) -> Option<K> {
    match object.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(
                namespace,
                name,
                error = invalid.error,
                "an object cannot be read and is left as it is"
            );
            None
        }
    }
}

async fn run<K>(api: Api<K>, config: Config, mut sink: impl FnMut(Change<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let url = api.resource_url().to_owned();
    let mut config = config.streaming_lists();
    loop {
        let listed = config.initial_list_strategy == InitialListStrategy::ListWatch;
        if drain(
            &url,
            watcher(api.clone(), config.clone()),
            listed,
            &mut sink,
        )
        .await
            == End::NoStreaming
        {
            debug!(
                url,
                "the API server does not stream lists: listing in pages"
            );
            config.initial_list_strategy = InitialListStrategy::ListWatch;
        }
    }
}

#[derive(PartialEq)]
enum End {
    Closed,
    NoStreaming,
}

async fn drain<K>(
    url: &str,
    stream: impl futures::Stream<Item = watcher::Result<Event<K>>>,
    listed: bool,
    sink: &mut impl FnMut(Change<K>),
) -> End {
    let mut stream = pin!(stream);
    let mut initial = Vec::new();
    let mut pause = FIRST_PAUSE;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => initial.clear(),
            Ok(Event::InitApply(object)) => initial.push(object),
            Ok(Event::InitDone) => sink(Change::Reset(std::mem::take(&mut initial))),
            Ok(Event::Apply(object)) => sink(Change::Apply(object)),
            Ok(Event::Delete(object)) => sink(Change::Delete(object)),
            Err(watcher::Error::WatchStartFailed(kube::Error::Api(status)))
                if !listed && matches!(status.code, 400 | 422) =>
            {
                return End::NoStreaming;
            }
            Err(error) => {
                warn!(url, %error, "a watch was interrupted and starts again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        }
        pause = FIRST_PAUSE;
    }
    End::Closed
}
