//! What the disk alone takes to have something for good.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Mutex,
    time::Instant,
};

/// One page of a database.
const PAGE: [u8; 4096] = [7; 4096];
/// Pages of the file, written in turn.
const PAGES: u64 = 256;

/// A file that is written page by page.
pub struct Syncs(Mutex<File>);

impl Syncs {
    pub fn in_folder(folder: &Path) -> Self {
        let mut file = File::create(folder.join("syncs")).unwrap();
        for _ in 0..PAGES {
            file.write_all(&PAGE).unwrap();
        }
        file.sync_all().unwrap();
        Self(Mutex::new(file))
    }

    /// Nanoseconds that each of `count` pages took until it was synced.
    pub fn times(&self, count: u64) -> Vec<u128> {
        let mut file = self.0.lock().unwrap();
        (0..count)
            .map(|n| {
                let began = Instant::now();
                let at = n % PAGES * PAGE.len() as u64;
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&PAGE).unwrap();
                file.sync_data().unwrap();
                began.elapsed().as_nanos()
            })
            .collect()
    }
}
