//! Listings.

use wasmtime::component::Resource;

use super::{
    BlobsView, Outcome, bindings::container::HostStreamObjectNames, operations::Target, said,
};
use crate::stores::Operation;
use shoal_stores::{BlobError, MAX_PAGE_KEYS, blob::ObjectPage};

/// A listing, and how far it came. It holds no page.
pub struct ObjectNames {
    pub(super) target: Target,
    after: Option<String>,
    is_over: bool,
}

impl ObjectNames {
    pub(super) fn start(target: Target) -> Self {
        Self {
            target,
            after: None,
            is_over: false,
        }
    }

    fn came(&mut self, page: &ObjectPage) {
        if let Some(last) = page.names.last() {
            self.after = Some(last.clone());
        }
        self.is_over = !page.more;
    }
}

impl BlobsView<'_> {
    /// The names that come next, at most `most`.
    async fn page(&mut self, names: &ObjectNames, most: u64) -> Result<ObjectPage, BlobError> {
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(MAX_PAGE_KEYS);
        if most == 0 || names.is_over {
            return Ok(ObjectPage {
                names: Vec::new(),
                more: !names.is_over,
            });
        }
        self.operations.limiter.passed();
        let found = self
            .operations
            .find(names.target, Operation::List, 1)
            .await?;
        let list = found.blobs.list(found.id, names.after.clone(), most);
        let page = found.call(Operation::List, list).await?;
        let size = |name: &String| name.len() + size_of::<String>();
        self.operations.pass(page.names.iter().map(size).sum())?;
        Ok(page)
    }

    /// Leaves out `count` names.
    async fn skip(&mut self, names: &mut ObjectNames, count: u64) -> Result<u64, BlobError> {
        let mut skipped = 0;
        while skipped < count && !names.is_over {
            let page = self.page(names, count - skipped).await?;
            names.came(&page);
            skipped += page.names.len() as u64;
        }
        Ok(skipped)
    }
}

impl HostStreamObjectNames for BlobsView<'_> {
    async fn read_stream_object_names(
        &mut self,
        names: Resource<ObjectNames>,
        len: u64,
    ) -> Outcome<(Vec<String>, bool)> {
        let mut listing = self.table.get(&names)?.copied();
        let page = match self.page(&listing, len).await {
            Ok(page) => page,
            Err(error) => return said(Err(error)),
        };
        listing.came(&page);
        let is_over = listing.is_over;
        *self.table.get_mut(&names)? = listing;
        Ok(Ok((page.names, is_over)))
    }

    async fn skip_stream_object_names(
        &mut self,
        names: Resource<ObjectNames>,
        num: u64,
    ) -> Outcome<(u64, bool)> {
        let mut listing = self.table.get(&names)?.copied();
        let skipped = match self.skip(&mut listing, num).await {
            Ok(skipped) => skipped,
            Err(error) => return said(Err(error)),
        };
        let is_over = listing.is_over;
        *self.table.get_mut(&names)? = listing;
        Ok(Ok((skipped, is_over)))
    }

    async fn drop(&mut self, names: Resource<ObjectNames>) -> wasmtime::Result<()> {
        self.table.delete(names)?;
        Ok(())
    }
}

impl ObjectNames {
    /// The listing as it is, while the table is used for other things.
    fn copied(&self) -> Self {
        Self {
            target: self.target,
            after: self.after.clone(),
            is_over: self.is_over,
        }
    }
}
