//! Content on its way: how much of it there may be, and whether it is whole.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::{BlobError, Content, PIECE_BYTES};
use crate::{
    StoreLimits,
    limits::{self, MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, at_most},
};

/// Refuses a name that may not be written under `limits`.
pub(crate) fn check_name(name: &str, limits: StoreLimits) -> Result<(), BlobError> {
    if name.is_empty() {
        let why = "an object's name has at least one byte".to_owned();
        return Err(BlobError::LimitExceeded(why));
    }
    Ok(at_most(
        "bytes in an object's name",
        name.len() as u64,
        limits.key_bytes,
    )?)
}

/// Refuses names of which one call may not carry as many.
pub(crate) fn check_names(names: &[String]) -> Result<(), BlobError> {
    let (count, most) = (names.len() as u64, MAX_KEYS_PER_CALL as u64);
    at_most("names in one call", count, most)?;
    let bytes = names.iter().map(String::len).sum::<usize>() as u64;
    let most = MAX_BYTES_PER_CALL as u64;
    Ok(at_most("bytes of names in one call", bytes, most)?)
}

/// Refuses one name that no call may carry.
pub(crate) fn check_asked(name: &str) -> Result<(), BlobError> {
    Ok(limits::check_call_bytes(name.len())?)
}

/// Counts what is written of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    pub(crate) bytes: u64,
    limits: StoreLimits,
}

impl Meter {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        Self { bytes: 0, limits }
    }

    /// Counts `more` bytes, unless no object may have so many.
    pub(crate) fn count(&mut self, more: usize) -> Result<(), BlobError> {
        self.bytes = self.bytes.saturating_add(more as u64);
        at_most("bytes in an object", self.bytes, self.limits.value_bytes)?;
        if let Some(limit) = self.limits.bytes {
            at_most("bytes in one store", self.bytes, limit)?;
        }
        Ok(())
    }
}

/// Content in pieces of the common size, that ends in an error unless it has `bytes` bytes.
pub(crate) fn exactly<S>(bytes: u64, source: S) -> Content
where
    S: Stream<Item = Result<Bytes, BlobError>> + Send + Unpin + 'static,
{
    struct State<S> {
        source: S,
        rest: Bytes,
        missing: u64,
        over: bool,
    }
    let start = State {
        source,
        rest: Bytes::new(),
        missing: bytes,
        over: false,
    };
    let pieces = stream::unfold(start, |mut state| async move {
        let failed = |state: State<S>, error| {
            let state = State {
                over: true,
                ..state
            };
            Some((Err(error), state))
        };
        if state.over {
            return None;
        }
        while state.rest.is_empty() {
            match state.source.next().await {
                Some(Ok(piece)) => state.rest = piece,
                Some(Err(error)) => return failed(state, error),
                None if state.missing == 0 => return None,
                None => return failed(state, damaged()),
            }
        }
        let piece = state.rest.split_to(state.rest.len().min(PIECE_BYTES));
        let Some(missing) = state.missing.checked_sub(piece.len() as u64) else {
            return failed(state, damaged());
        };
        state.missing = missing;
        Some((Ok(piece), state))
    });
    pieces.boxed()
}

/// An object does not have the bytes that it should have.
pub(crate) fn damaged() -> BlobError {
    BlobError::unavailable("its data is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(
        bytes: u64,
        pieces: Vec<Result<Bytes, BlobError>>,
    ) -> Result<Vec<usize>, BlobError> {
        let content = exactly(bytes, stream::iter(pieces));
        let pieces: Vec<_> = content.collect().await;
        pieces
            .into_iter()
            .map(|piece| piece.map(|piece| piece.len()))
            .collect()
    }

    #[tokio::test]
    async fn content_comes_in_pieces_and_too_little_or_too_much_is_an_error() {
        let piece = |bytes| Ok(Bytes::from(vec![0; bytes]));
        let large = PIECE_BYTES + 3;
        let given = vec![piece(0), piece(large), piece(4)];
        assert_eq!(
            all(large as u64 + 4, given.clone()).await,
            Ok(vec![PIECE_BYTES, 3, 4])
        );
        assert_eq!(all(large as u64 + 5, given.clone()).await, Err(damaged()));
        assert_eq!(all(large as u64 + 3, given).await, Err(damaged()));
        assert_eq!(all(0, Vec::new()).await, Ok(Vec::new()));
        let broken = vec![piece(1), Err(BlobError::NotFound)];
        assert_eq!(all(1, broken).await, Err(BlobError::NotFound));
    }

    #[test]
    fn an_object_may_be_as_large_as_its_limit_and_no_larger() {
        let limits = StoreLimits {
            value_bytes: 10,
            bytes: Some(9),
            ..StoreLimits::default()
        };
        let mut meter = Meter::new(limits);
        assert!(meter.count(9).is_ok());
        let error = meter.count(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10 bytes in one store are more than the limit of 9"
        );
        let error = meter.count(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "11 bytes in an object are more than the limit of 10"
        );
    }
}
