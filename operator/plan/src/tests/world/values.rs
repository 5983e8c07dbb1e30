//! Secrets and ConfigMaps, and who reads them.

use std::collections::BTreeMap;

use shoal_crds::SourceKind;

use super::{World, key};
use crate::{SourceRead, SourceRef};

/// What there is, by name.
#[derive(Default)]
pub(in crate::tests) struct Objects {
    found: BTreeMap<SourceRef, SourceRead>,
    /// The API server refuses to be read from.
    pub(in crate::tests) refuses: bool,
    version: usize,
}

impl World {
    /// Makes or replaces a Secret.
    pub(in crate::tests) fn secret(&mut self, name: &str, data: &[(&str, &str)]) {
        self.objects.version += 1;
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        let read = SourceRead::Found {
            resource_version: self.objects.version.to_string(),
            data: data.collect(),
        };
        self.objects.found.insert(secret(name), read);
    }

    /// Deletes a Secret.
    pub(in crate::tests) fn delete_secret(&mut self, name: &str) {
        self.objects.found.remove(&secret(name));
    }

    /// Everything that Apps refer to is read, and what follows from it done.
    pub(in crate::tests) fn read_values(&mut self) {
        for source in self.index.value_sources() {
            let read = match self.objects.refuses {
                true => SourceRead::Failed("the API server is away".into()),
                false => self
                    .objects
                    .found
                    .get(&source)
                    .cloned()
                    .unwrap_or(SourceRead::Missing),
            };
            self.index.value_source_read(&source, read);
        }
        self.settle();
    }
}

fn secret(name: &str) -> SourceRef {
    SourceRef {
        kind: SourceKind::Secret,
        key: key(name),
    }
}
