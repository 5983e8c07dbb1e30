//! Under which names a Store's data lies on the server.

use crate::StoreId;

/// The three keys of one Store.
///
/// The braces are the hash tag: a cluster keeps all keys with one tag in one slot, so that a script may
/// touch them all. A prefix has no brace and no colon, so that the first colon ends it, and no two
/// prefixes share a name. Keys that guests choose are in no name at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// A hash: values by key.
    pub(crate) values: Vec<u8>,
    /// A sorted set: the keys, all of score 0, which is in byte order.
    pub(crate) index: Vec<u8>,
    /// A number: bytes of keys and values.
    pub(crate) size: Vec<u8>,
}

impl Names {
    pub(crate) fn new(prefix: &str, store: StoreId) -> Self {
        let all = format!("{prefix}:{{{store}}}:").into_bytes();
        let name = |part: &[u8]| [&all, part].concat();
        Self {
            values: name(b"values"),
            index: name(b"index"),
            size: name(b"size"),
        }
    }

    /// In the order of the scripts' `KEYS`.
    pub(crate) fn all(self) -> Vec<Vec<u8>> {
        vec![self.values, self.index, self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_store_share_one_hash_tag() {
        let store: StoreId = "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c30".parse().unwrap();
        let names = Names::new("shoal", store);
        assert_eq!(
            names.values,
            b"shoal:{6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c30}:values"
        );
        for name in names.all() {
            assert!(name.starts_with(b"shoal:{6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c30}:"));
        }
    }
}
