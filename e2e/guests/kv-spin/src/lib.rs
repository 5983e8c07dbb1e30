//! The paths of `kv-routes` through `fermyon:spin/key-value@2.0.0`, which has neither atomics nor
//! batches.

use fermyon::spin2_0_0::key_value;
use kv_routes::{Failure, Result, Store};

wit_bindgen::generate!({
    path: "../../../stores/wit",
    world: "spin-key-value",
    generate_all
});
guest_http::serve!(kv_routes::handle::<SpinStore>);

fn failure(error: key_value::Error) -> Failure {
    Failure::Store(match error {
        key_value::Error::StoreTableFull => "store-table-full".to_owned(),
        key_value::Error::NoSuchStore => "no-such-store".to_owned(),
        key_value::Error::AccessDenied => "access-denied".to_owned(),
        key_value::Error::Other(message) => format!("other: {message}"),
    })
}

struct SpinStore(key_value::Store);

impl Store for SpinStore {
    fn open(label: &str) -> Result<Self> {
        key_value::Store::open(label)
            .map(SpinStore)
            .map_err(failure)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.get(key).map_err(failure)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.set(key, value).map_err(failure)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.0.delete(key).map_err(failure)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        self.0.exists(key).map_err(failure)
    }

    fn keys(&self) -> Result<(Vec<String>, usize)> {
        self.0.get_keys().map(|keys| (keys, 1)).map_err(failure)
    }
}
