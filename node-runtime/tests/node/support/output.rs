//! What guests print, for the tests to look at.

use std::sync::{Arc, Mutex};

use shoal_runtime::{OutputRecord, OutputSink};

#[derive(Default)]
pub struct Captured(Mutex<Vec<serde_json::Value>>);

impl Captured {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn records(&self) -> Vec<serde_json::Value> {
        self.0.lock().unwrap().clone()
    }
}

impl OutputSink for Captured {
    fn line(&self, record: &OutputRecord<'_>) -> bool {
        self.0
            .lock()
            .unwrap()
            .push(serde_json::to_value(record).unwrap());
        true
    }
}
