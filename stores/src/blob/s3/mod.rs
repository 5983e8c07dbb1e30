//! Objects in a bucket of a server that speaks Amazon's S3 protocol.
//!
//! Each object of a Store is an object of the bucket (`names` has its key). Small ones are put at once,
//! larger ones in parts that become an object when the last is there; so an object is replaced as a whole,
//! and durable as the server makes it. Whoever stops half-way tells the server to forget the parts; for the
//! case that this cannot be done any more, buckets have a rule that removes parts after some days.
//!
//! S3 keeps no count of what a Store holds: limits of keys and bytes are held against `counted`.

mod counted;
mod fault;
mod names;
mod options;
mod parts;
mod room;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::BytesMut;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3,
    path::Path,
};
use tokio::time::timeout;

pub use self::options::{InvalidS3Options, S3Options};
use self::{counted::Counts, fault::Fault, parts::Parts};
use super::{
    BlobError, Blobs, ByteRange, Content, ObjectInfo, ObjectPage, Opened, PIECE_BYTES, Place,
    content::{Meter, check_asked, check_name, check_names, exactly},
    slots::Slots,
};
use crate::{
    Health, StoreId, StoreLimits, Usage,
    limits::{MAX_PAGE_BYTES, MAX_PAGE_KEYS},
    shortage::Refusals,
};

/// Longest wait for an answer that carries no content.
const DEADLINE: Duration = Duration::from_secs(8);
/// Longest time that a part of an object takes.
const PART_TIME: Duration = Duration::from_secs(60);
/// Bytes of a part. S3 has no smaller ones, and at most 10,000 of an object.
const PART: usize = 5 * 1024 * 1024;
/// Bytes of the largest object, which follows from it.
const MOST_BYTES: u64 = 10_000 * PART as u64;
/// Bytes of the largest object that S3 copies by itself.
const MOST_COPIED: u64 = 5 * 1024 * 1024 * 1024;
/// Objects of one Store, and of all, that are being written.
const WRITES: (usize, usize) = (8, 32);
/// Objects of one Store, and of all, that are being read.
const READS: (usize, usize) = (64, 256);
/// Objects of one step of a clearing.
const CLEARED: usize = 1000;
/// What is written to see whether that can be done: no Store has such an id.
const PROBE: &str = "health";

/// See the module.
pub struct S3 {
    client: ArcSwap<AmazonS3>,
    options: ArcSwap<S3Options>,
    counts: Counts,
    refusals: Refusals,
    writes: Slots,
    reads: Slots,
}

impl S3 {
    /// Checks what can be checked without the server, and connects with the first call.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn new(options: &S3Options) -> Result<Self, InvalidS3Options> {
        Ok(Self {
            client: ArcSwap::from_pointee(options.client()?),
            options: ArcSwap::from_pointee(options.clone()),
            counts: Counts::default(),
            refusals: Refusals::default(),
            writes: Slots::new("written", WRITES.0, WRITES.1),
            reads: Slots::new("read", READS.0, READS.1),
        })
    }

    /// Uses other credentials, another region or other authorities from the next call on. Calls under way
    /// end with what they began with.
    ///
    /// # Errors
    /// The options cannot be used, or are those of another place.
    pub fn reconfigure(&self, options: &S3Options) -> Result<(), InvalidS3Options> {
        if !self.options.load().is_same_place(options) {
            return Err(InvalidS3Options::PlaceChanged);
        }
        self.client.store(Arc::new(options.client()?));
        self.options.store(Arc::new(options.clone()));
        Ok(())
    }

    fn client(&self) -> Arc<AmazonS3> {
        self.client.load_full()
    }

    fn key(&self, store: StoreId, name: &str) -> Result<Path, BlobError> {
        names::of_object(&self.options.load().prefix, store, name).map_err(|(has, may)| {
            BlobError::LimitExceeded(format!(
                "the object's name has {has} bytes where it is kept, in which each byte that is no \
                 letter, digit, `-` or `.` takes three; at most {may} are possible"
            ))
        })
    }

    /// What the server says of an object.
    async fn head(&self, key: &Path) -> Result<Option<ObjectMeta>, Fault> {
        match within(DEADLINE, self.client().head(key)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Fault::NotFound) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Takes content in parts, and makes an object of them.
    async fn take(
        &self,
        to: &Place,
        mut content: Content,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        let key = self.key(to.store, &to.name)?;
        let client = self.client();
        let mut meter = Meter::new(StoreLimits {
            value_bytes: limits.value_bytes.min(MOST_BYTES),
            ..limits
        });
        let mut part = BytesMut::new();
        let mut parts: Option<Parts> = None;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            meter.count(piece.len())?;
            part.extend_from_slice(&piece);
            if part.len() < PART {
                continue;
            }
            // Parts are of one size: some servers want it so.
            let whole = part.split_to(PART).freeze();
            let parts = match &mut parts {
                Some(parts) => parts,
                none => none.insert(Parts::begin(&client, &key).await?),
            };
            parts.put(whole).await?;
        }
        let rest = part.freeze();
        let Some(mut parts) = parts else {
            let room = self.room(to, &key, meter.bytes, limits).await?;
            let put = within(PART_TIME, client.put(&key, PutPayload::from(rest))).await;
            return self.wrote(to.store, room, put.map(drop));
        };
        if !rest.is_empty() {
            parts.put(rest).await?;
        }
        let room = self.room(to, &key, meter.bytes, limits).await?;
        self.wrote(to.store, room, parts.complete().await)
    }

    async fn delete_keys(&self, keys: Vec<Path>) -> Result<(), BlobError> {
        let keys = stream::iter(keys.into_iter().map(Ok)).boxed();
        let mut deleted = self.client().delete_stream(keys);
        loop {
            match within(DEADLINE, deleted.try_next()).await {
                Ok(Some(_)) | Err(Fault::NotFound) => {}
                Ok(None) => return Ok(()),
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}

/// What a request gave, or why it failed, at the latest after `time`.
async fn within<T>(
    time: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Fault> {
    match timeout(time, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Fault::late()),
    }
}

/// The next object of a listing.
async fn next<S>(objects: &mut S) -> Result<Option<ObjectMeta>, Fault>
where
    S: futures::Stream<Item = object_store::Result<ObjectMeta>> + Unpin,
{
    within(DEADLINE, objects.try_next()).await
}

fn info(meta: &ObjectMeta) -> ObjectInfo {
    ObjectInfo {
        size: meta.size,
        created_at: u64::try_from(meta.last_modified.timestamp()).unwrap_or(0),
    }
}

#[async_trait]
impl Blobs for S3 {
    async fn read(
        &self,
        store: StoreId,
        name: String,
        range: ByteRange,
    ) -> Result<Opened, BlobError> {
        let slot = self.reads.enter(store)?;
        let key = self.key(store, &name)?;
        let mut options = GetOptions::default();
        if range != ByteRange::ALL {
            // A range beyond the end is an error to S3, and to some servers one of an empty object as well.
            let meta = self.head(&key).await?.ok_or(BlobError::NotFound)?;
            let (first, bytes) = range.within(meta.size)?;
            if bytes == 0 {
                return Ok(Opened {
                    info: info(&meta),
                    bytes,
                    content: stream::empty().boxed(),
                });
            }
            options.range = Some(GetRange::Bounded(first..first + bytes));
            options.if_match = meta.e_tag;
        }
        let found = within(DEADLINE, self.client().get_opts(&key, options)).await?;
        let (info, bytes) = (info(&found.meta), found.range.end - found.range.start);
        let pieces = found.into_stream().map(move |piece| {
            let _held = &slot;
            piece.map_err(|error| BlobError::from(Fault::from(error)))
        });
        Ok(Opened {
            info,
            bytes,
            content: exactly(bytes, pieces),
        })
    }

    async fn write(
        &self,
        store: StoreId,
        name: String,
        content: Content,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        check_name(&name, limits)?;
        let _slot = self.writes.enter(store)?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let content = content.inspect_ok(move |piece| {
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        });
        let to = Place { store, name };
        let result = self.take(&to, content.boxed(), limits).await;
        self.note(bytes.load(Ordering::Relaxed), &result);
        result
    }

    async fn info(&self, store: StoreId, name: String) -> Result<Option<ObjectInfo>, BlobError> {
        let Ok(key) = self.key(store, &name) else {
            return Ok(None);
        };
        Ok(self.head(&key).await?.as_ref().map(info))
    }

    async fn list(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<ObjectPage, BlobError> {
        let prefix = self.options.load().prefix.clone();
        let folder = names::of_store(&prefix, store);
        let client = self.client();
        let mut objects = match &after {
            None => client.list(Some(&folder)),
            Some(after) => client.list_with_offset(Some(&folder), &self.key(store, after)?),
        };
        let (limit, mut page, mut bytes) = (limit.min(MAX_PAGE_KEYS), ObjectPage::default(), 0);
        while let Some(meta) = next(&mut objects).await? {
            let Some(name) = names::object_of(&prefix, store, &meta.location) else {
                continue;
            };
            bytes += name.len();
            if page.names.len() as u64 == u64::from(limit) || bytes > MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            page.names.push(name);
        }
        Ok(page)
    }

    async fn delete(&self, store: StoreId, names: Vec<String>) -> Result<(), BlobError> {
        check_names(&names)?;
        // A name that cannot be a key is that of no object.
        let keys = names.iter().filter_map(|name| self.key(store, name).ok());
        let keys: Vec<Path> = keys.collect();
        // How large they were is not known here.
        let deleted = self.delete_keys(keys).await;
        self.counts.is_unsure(store);
        deleted
    }

    async fn copy(&self, from: Place, to: Place, limits: StoreLimits) -> Result<(), BlobError> {
        check_asked(&from.name)?;
        check_name(&to.name, limits)?;
        let (source, key) = (
            self.key(from.store, &from.name)?,
            self.key(to.store, &to.name)?,
        );
        let meta = self.head(&source).await?.ok_or(BlobError::NotFound)?;
        if meta.size > MOST_COPIED {
            let opened = self.read(from.store, from.name, ByteRange::ALL).await?;
            return self.write(to.store, to.name, opened.content, limits).await;
        }
        Meter::new(limits).count(usize::try_from(meta.size).unwrap_or(usize::MAX))?;
        if source == key {
            return Ok(());
        }
        let room = self.room(&to, &key, meta.size, limits).await?;
        let copied = within(PART_TIME, self.client().copy(&source, &key)).await;
        let result = self.wrote(to.store, room, copied);
        self.note(meta.size, &result);
        result
    }

    /// Lists the whole Store.
    async fn usage(&self, store: StoreId) -> Result<Usage, BlobError> {
        self.listed(store).await
    }

    async fn clear(&self, store: StoreId) -> Result<(), BlobError> {
        let folder = names::of_store(&self.options.load().prefix, store);
        let mut objects = self.client().list(Some(&folder)).chunks(CLEARED);
        let mut result = Ok(());
        while let Some(some) = objects.next().await {
            let keys: object_store::Result<Vec<Path>> =
                some.into_iter().map(|meta| Ok(meta?.location)).collect();
            result = match keys {
                Ok(keys) => self.delete_keys(keys).await,
                Err(error) => Err(Fault::from(error).into()),
            };
            if result.is_err() {
                break;
            }
        }
        self.counts.is_unsure(store);
        result
    }

    async fn health(&self) -> Health {
        let key = Path::from(format!("{}/{PROBE}", self.options.load().prefix));
        match within(DEADLINE, self.client().put(&key, PutPayload::new())).await {
            // Nothing fits everywhere.
            Ok(_) if self.refusals.largest(Instant::now()).is_some() => Fault::full().health(),
            Ok(_) => Health::Reachable,
            Err(fault) => fault.health(),
        }
    }

    fn bytes_of_a_write(&self) -> u64 {
        // A part, and what comes beyond its end.
        (PART + 2 * PIECE_BYTES) as u64
    }
}
