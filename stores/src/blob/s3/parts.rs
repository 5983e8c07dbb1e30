//! Objects that are put in parts.

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, aws::AmazonS3, path::Path};

use super::{DEADLINE, PART_TIME, fault::Fault, within};

/// Parts that are not an object yet. Dropped, they are forgotten.
pub(super) struct Parts(Option<Box<dyn MultipartUpload>>);

impl Parts {
    pub(super) async fn begin(client: &AmazonS3, key: &Path) -> Result<Self, Fault> {
        let begun = within(DEADLINE, client.put_multipart(key)).await?;
        Ok(Self(Some(begun)))
    }

    pub(super) async fn put(&mut self, part: Bytes) -> Result<(), Fault> {
        match &mut self.0 {
            Some(upload) => within(PART_TIME, upload.put_part(PutPayload::from(part))).await,
            None => Err(Fault::late()),
        }
    }

    pub(super) async fn complete(mut self) -> Result<(), Fault> {
        if let Some(upload) = &mut self.0 {
            within(PART_TIME, upload.complete()).await?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let (Some(mut upload), Ok(runtime)) =
            (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            // Else the bucket's own rule removes them.
            let _ = within(DEADLINE, upload.abort()).await;
        });
    }
}
