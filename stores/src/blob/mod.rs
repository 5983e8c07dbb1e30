//! Objects of any size, as the guest interface `wasi:blobstore` needs them.
//!
//! A Store holds objects under names of its own; there are no containers below it. Content passes in
//! pieces both ways: no object is in memory as a whole.

mod content;
pub mod embedded;
pub mod s3;
mod slots;
pub(crate) mod wire;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub(crate) use self::{
    content::{check_asked, check_name, check_names, exactly},
    slots::Slots,
};
pub use self::{embedded::EmbeddedBlobs, s3::S3};
use crate::{Health, KeyValueError, StoreId, StoreLimits, Usage};

/// Most bytes of one piece of content.
pub const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of the largest object where a class says nothing.
pub const OBJECT_BYTES: u64 = 1 << 30;

/// Pieces of content, in order, each of at most [`PIECE_BYTES`] from a backend. An error is its last
/// item: what came before it is not the whole.
pub type Content = BoxStream<'static, Result<bytes::Bytes, BlobError>>;

/// A backend of objects. One instance serves every Store of its class.
///
/// A call that read or wrote after an acknowledged write, from any node, sees it. An object is replaced as
/// a whole: who reads it sees one content from its first byte to its last, also when it is replaced or
/// deleted meanwhile. Names are UTF-8 of 1 to [`StoreLimits::key_bytes`] bytes; every byte counts (no
/// normalisation, no meaning of `/` or `.`).
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Opens what `range` has of an object. Content that nobody takes for long may end in an error.
    async fn read(
        &self,
        store: StoreId,
        name: String,
        range: ByteRange,
    ) -> Result<Opened, BlobError>;

    /// Creates or replaces an object. It is there, as a whole and durable, once this returned `Ok`. After
    /// an error (of `content` as well), and when this is dropped before its end, all is as it was; but after
    /// [`BlobError::Unavailable`] the new object may be there, as a whole. Of `limits`, `value_bytes` bounds
    /// the object.
    async fn write(
        &self,
        store: StoreId,
        name: String,
        content: Content,
        limits: StoreLimits,
    ) -> Result<(), BlobError>;

    /// What is known of an object; `None`: it does not exist.
    async fn info(&self, store: StoreId, name: String) -> Result<Option<ObjectInfo>, BlobError>;

    /// Names that come after `after` (exclusive; `None`: from the first) in an order of the backend's
    /// own, at most `limit`, which the backend may lower.
    async fn list(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<ObjectPage, BlobError>;

    /// Deletes objects; one that does not exist is no error. One that fails may have deleted some.
    async fn delete(&self, store: StoreId, names: Vec<String>) -> Result<(), BlobError>;

    /// Creates or replaces the object `to` with the content of `from`.
    async fn copy(&self, from: Place, to: Place, limits: StoreLimits) -> Result<(), BlobError>;

    /// What `store` holds: what its limits of keys and bytes are held against.
    async fn usage(&self, store: StoreId) -> Result<Usage, BlobError>;

    /// Deletes every object that `store` holds when it begins, in steps between which others take their
    /// turns. One that fails has deleted a part; done again, it goes on with the rest.
    async fn clear(&self, store: StoreId) -> Result<(), BlobError>;

    /// Asks the backend now, with a write. Answers within 10 s.
    async fn health(&self) -> Health;

    /// Bytes that one [`write`](Self::write) under way holds in this process, at most.
    fn bytes_of_a_write(&self) -> u64;
}

/// An object of a Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which Store.
    pub store: StoreId,
    /// Which object of it.
    pub name: String,
}

/// Which bytes of an object: offsets of the first and the last one, as `wasi:blobstore` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte; beyond the object's end it means that end.
    pub last: u64,
}

impl ByteRange {
    /// The whole object.
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// The part of an object of `size` bytes: its first offset, and how many bytes it has.
    ///
    /// # Errors
    /// There is no such part.
    pub fn within(self, size: u64) -> Result<(u64, u64), BlobError> {
        let Self { first, last } = self;
        if first > last {
            return Err(BlobError::Refused(format!(
                "the range ends (at {last}) before it starts (at {first})"
            )));
        }
        match size {
            0 if first == 0 => Ok((0, 0)),
            size if first >= size => Err(BlobError::Refused(format!(
                "the range starts at {first}, and the object has {size} bytes"
            ))),
            size => Ok((first, last.min(size - 1) - first + 1)),
        }
    }
}

/// A part of an object, to be read.
pub struct Opened {
    /// Of the whole object.
    pub info: ObjectInfo,
    /// Bytes that `content` has in all; one that ends earlier ends in an error.
    pub bytes: u64,
    /// The part.
    pub content: Content,
}

/// What is known of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its bytes.
    pub size: u64,
    /// When its content was written, in seconds since 1970.
    pub created_at: u64,
}

/// A page of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The names.
    pub names: Vec<String>,
    /// Whether others follow after the last of these.
    pub more: bool,
}

/// Why a call failed. Messages are for guests: they name limits, never hosts, paths or credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// This runtime may not open that Store.
    #[error("access to this store is denied")]
    AccessDenied,
    /// There is no object of that name.
    #[error("there is no object of that name")]
    NotFound,
    /// What was asked for is none; the text says why.
    #[error("{0}")]
    Refused(String),
    /// A name, object, count or size is over its limit; the text names the limit.
    #[error("{0}")]
    LimitExceeded(String),
    /// The content did not come to its end, so that nothing was written.
    #[error("nothing was written: {0}")]
    Incomplete(String),
    /// The backend cannot serve now (down, disk full, read-only, too slow); the text says which.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl BlobError {
    pub(crate) fn unavailable(why: &str) -> Self {
        Self::Unavailable(why.to_owned())
    }
}

impl From<KeyValueError> for BlobError {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::AccessDenied => Self::AccessDenied,
            KeyValueError::LimitExceeded(message) => Self::LimitExceeded(message),
            KeyValueError::NotAnInteger => Self::Refused(error.to_string()),
            KeyValueError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_beyond_it() {
        let part = |first, last, size| ByteRange { first, last }.within(size).ok();
        assert_eq!(part(0, u64::MAX, 10), Some((0, 10)));
        assert_eq!(part(0, 0, 10), Some((0, 1)));
        assert_eq!(part(9, 9, 10), Some((9, 1)));
        assert_eq!(part(9, 10, 10), Some((9, 1)));
        assert_eq!(part(10, 10, 10), None);
        assert_eq!(part(5, 4, 10), None);
        assert_eq!(part(0, 0, 0), Some((0, 0)));
        assert_eq!(part(1, 1, 0), None);
        assert_eq!(
            part(u64::MAX, u64::MAX, u64::MAX),
            None,
            "nothing overflows"
        );
        assert_eq!(part(0, u64::MAX, u64::MAX), Some((0, u64::MAX)));
    }
}
