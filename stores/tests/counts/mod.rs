//! What a backend says that a Store holds, against what it lists and gives.

use shoal_stores::{KeyValue, StoreId, Usage};

/// Fails unless all that is listed is there, and is what is counted. Gives the count.
pub async fn assert_exact(stores: &dyn KeyValue, store: StoreId) -> Usage {
    let (mut found, mut after) = (Usage::default(), None);
    loop {
        let page = stores.list_keys(store, after, 1000).await.unwrap();
        let values = stores.get(store, page.keys.clone()).await.unwrap();
        for (key, value) in page.keys.iter().zip(values) {
            found.keys += 1;
            found.bytes += (key.len() + value.unwrap().len()) as u64;
        }
        after = page.keys.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(stores.usage(store).await.unwrap(), found);
    found
}
