//! JSON lines on the process's standard output, by a thread of their own: no guest waits for them.

use std::{
    io::{self, Write},
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use super::{OutputRecord, OutputSink};

/// Records that wait for the writer; more are dropped.
const QUEUE: usize = 4096;

/// Writes records as JSON, one a line.
pub struct JsonLines {
    queue: SyncSender<Vec<u8>>,
}

impl JsonLines {
    /// Starts the thread that writes to `to`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, records) = mpsc::sync_channel(QUEUE);
        thread::Builder::new()
            .name("shoal-output".into())
            .spawn(move || run(&records, to))?;
        Ok(Self { queue })
    }
}

impl OutputSink for JsonLines {
    fn line(&self, record: &OutputRecord<'_>) -> bool {
        let Ok(mut line) = serde_json::to_vec(record) else {
            return false;
        };
        line.push(b'\n');
        self.queue.try_send(line).is_ok()
    }
}

fn run(records: &Receiver<Vec<u8>>, to: impl Write) {
    let mut to = io::BufWriter::new(to);
    while let Ok(record) = records.recv() {
        // A closed standard output is no reason to stop serving.
        let _ = to.write_all(&record);
        while let Ok(record) = records.try_recv() {
            let _ = to.write_all(&record);
        }
        let _ = to.flush();
    }
}
