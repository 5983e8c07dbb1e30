//! The paths of `kv-routes` through `wasi:keyvalue@0.2.0-draft2`.

use kv_routes::{Entry, Failure, Result, Store, Swap};
use wasi::keyvalue0_2_0_draft2::{atomics, batch, store};

wit_bindgen::generate!({
    path: "../../../stores/wit",
    world: "keyvalue-draft2",
    generate_all
});
guest_http::serve!(kv_routes::handle::<Bucket>);

fn failure(error: store::Error) -> Failure {
    Failure::Store(match error {
        store::Error::NoSuchStore => "no-such-store".to_owned(),
        store::Error::AccessDenied => "access-denied".to_owned(),
        store::Error::Other(message) => format!("other: {message}"),
    })
}

struct Bucket(store::Bucket);

impl Store for Bucket {
    fn open(label: &str) -> Result<Self> {
        store::open(label).map(Bucket).map_err(failure)
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
        let mut page = self.0.list_keys(None).map_err(failure)?;
        let (mut keys, mut pages) = (page.keys, 1);
        while let Some(cursor) = page.cursor {
            page = self.0.list_keys(Some(&cursor)).map_err(failure)?;
            keys.append(&mut page.keys);
            pages += 1;
        }
        Ok((keys, pages))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        atomics::increment(&self.0, key, delta).map_err(failure)
    }

    fn swap(
        &self,
        key: &str,
        expect: &dyn Fn(Option<&[u8]>) -> bool,
        new: &dyn Fn(Option<&[u8]>) -> Vec<u8>,
        meanwhile: &dyn Fn() -> Result<()>,
    ) -> Result<Swap> {
        let cas = atomics::Cas::new(&self.0, key).map_err(failure)?;
        let now = cas.current().map_err(failure)?;
        if !expect(now.as_deref()) {
            return Ok(Swap::Differs(now));
        }
        meanwhile()?;
        match atomics::swap(cas, &new(now.as_deref())) {
            Ok(()) => Ok(Swap::Done),
            Err(atomics::CasError::StoreError(error)) => Err(failure(error)),
            Err(atomics::CasError::CasFailed(cas)) => {
                Ok(Swap::Failed(cas.current().map_err(failure)?))
            }
        }
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Entry>> {
        batch::get_many(&self.0, keys).map_err(failure)
    }

    fn set_many(&self, pairs: &[(String, Vec<u8>)]) -> Result<()> {
        batch::set_many(&self.0, pairs).map_err(failure)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        batch::delete_many(&self.0, keys).map_err(failure)
    }
}
