//! One watch after the other, for ever.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// How long one watch lasts before it is begun anew. A connection that died without a word is found out only then, so
/// this is how old what we see may be at worst; ten watches cost five requests a minute, however many clusters there are.
const LASTS_SECONDS: u32 = 120;

/// Pause before everything is listed anew because the server has forgotten our place. A server that forgets it again at
/// once must not be asked for lists without end.
const LIST_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Watches objects, those with these labels or all. After a failure it pauses, from a second up to a minute, and goes on.
///
/// A server may answer a watch with "gone" instead of saying so as an event. kube's watcher would then ask for the same
/// version for ever; a new one begins with a list.
pub fn watch<K>(
    api: Api<K>,
    labels: Option<&str>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let config = watcher::Config::default().timeout(LASTS_SECONDS);
    let config = labels.map_or(config.clone(), |labels| config.labels(labels));
    stream::unfold(None, move |events: Option<BoxStream<'static, watcher::Result<Event<K>>>>| {
        let (api, config) = (api.clone(), config.clone());
        async move {
            let mut events = events.unwrap_or_else(|| watcher(api, config).default_backoff().boxed());
            let event = events.next().await?;
            if event.as_ref().is_err_and(is_place_forgotten) {
                tokio::time::sleep(LIST_AGAIN_AFTER).await;
                return Some((event, None));
            }
            Some((event, Some(events)))
        }
    })
}

fn is_place_forgotten(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}
