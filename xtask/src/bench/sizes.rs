//! Sizes of the programs and the image.

use anyhow::{Context as _, Result};

use super::row::Row;
use crate::binaries::Profile;
use crate::image;

/// As they are in the image: release, without debug information.
///
/// # Errors
/// They do not build.
pub fn measure() -> Result<Vec<Row>> {
    let image = image::make(Profile::Release)?;
    let mut files = image::programs(Profile::Release);
    files.push(image.archive);
    files
        .into_iter()
        .map(|file| {
            let size = std::fs::metadata(&file)
                .with_context(|| format!("cannot read {}", file.display()))?
                .len();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Ok(Row {
                what: format!("size of {name}"),
                result: format!("{:.1} MiB", size as f64 / f64::from(1 << 20)),
                ..Row::default()
            })
        })
        .collect()
}
