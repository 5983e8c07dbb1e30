//! One watch that never gives up.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
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
    /// These are all that exist and can be read, and the metadata of those that cannot.
    Reset(Vec<K>, Vec<ObjectMeta>),
    /// An object with this metadata exists and cannot be read.
    Unreadable(ObjectMeta),
    /// An object with this metadata, which could not be read, is gone.
    Gone(ObjectMeta),
}

/// Watches objects whose shape the API server guarantees.
pub async fn follow<K>(api: Api<K>, config: Config, sink: impl FnMut(Change<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    run(api, config, sink).await;
}

/// Watches objects whose shape users decide: of one that cannot be read only the metadata is told, and it is named in
/// the log; the others go on.
pub async fn follow_guarded<K>(
    api: Api<DeserializeGuard<K>>,
    config: Config,
    mut sink: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    run(api, config, |change| sink(unguarded(change))).await;
}

fn unguarded<K>(change: Change<DeserializeGuard<K>>) -> Change<K> {
    match change {
        Change::Apply(object) => match readable(object) {
            Ok(object) => Change::Apply(object),
            Err(metadata) => Change::Unreadable(*metadata),
        },
        Change::Delete(object) => match object.0 {
            Ok(object) => Change::Delete(object),
            Err(invalid) => Change::Gone(invalid.metadata),
        },
        Change::Reset(objects, mut left) => {
            let mut read = Vec::with_capacity(objects.len());
            for object in objects {
                match readable(object) {
                    Ok(object) => read.push(object),
                    Err(metadata) => left.push(*metadata),
                }
            }
            Change::Reset(read, left)
        }
        Change::Unreadable(metadata) => Change::Unreadable(metadata),
        Change::Gone(metadata) => Change::Gone(metadata),
    }
}

fn readable<K>(object: DeserializeGuard<K>) -> Result<K, Box<ObjectMeta>> {
    object.0.map_err(|invalid| {
        warn!(
            namespace = invalid.metadata.namespace.as_deref().unwrap_or_default(),
            name = invalid.metadata.name.as_deref().unwrap_or_default(),
            error = invalid.error,
            "an object cannot be read and is left as it is"
        );
        Box::new(invalid.metadata)
    })
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
            Ok(Event::InitDone) => {
                sink(Change::Reset(std::mem::take(&mut initial), Vec::new()));
            }
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

#[cfg(test)]
mod tests {
    use shoal_crds::App;

    use super::*;

    fn app(name: &str, image: serde_json::Value) -> DeserializeGuard<App> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "shoal.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": name, "namespace": "shop", "uid": "u"},
            "spec": {"image": image},
        }))
        .unwrap()
    }

    fn unreadable() -> DeserializeGuard<App> {
        app("odd", serde_json::json!({"of": "a later version"}))
    }

    #[test]
    fn an_object_that_cannot_be_read_is_told_by_its_metadata() {
        let name = |metadata: &ObjectMeta| metadata.name.clone().unwrap_or_default();
        let listed = vec![app("hello", "a:1".into()), unreadable()];
        let Change::Reset(read, left) = unguarded(Change::Reset(listed, Vec::new())) else {
            panic!("a list is a list");
        };
        assert_eq!(read.len(), 1);
        assert_eq!(left.iter().map(name).collect::<Vec<_>>(), ["odd"]);
        let changed = unguarded(Change::Apply(unreadable()));
        assert!(matches!(changed, Change::Unreadable(metadata) if name(&metadata) == "odd"));
        let gone = unguarded(Change::Delete(unreadable()));
        assert!(matches!(gone, Change::Gone(metadata) if name(&metadata) == "odd"));
    }
}
