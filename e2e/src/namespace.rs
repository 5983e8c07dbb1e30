//! A namespace of its own for each test.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{App, kubectl, try_kubectl};

/// A namespace that this test made, and that goes when it ends.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A fresh one; its name begins with `purpose`.
    pub fn new(purpose: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{purpose}-{}-{number}", process::id());
        kubectl(&["create", "namespace", &name]);
        Self { name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An App of this namespace; not applied yet.
    pub fn app(&self, name: &str, image: &str) -> App {
        App::new(&self.name, name, image)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What the operator said of it is what one needs to know of a failure.
            let told = try_kubectl(&["-n", &self.name, "get", "apps,events", "-o", "wide"], "");
            eprintln!(
                "namespace {} when the test failed:\n{}",
                self.name, told.stdout
            );
        }
        try_kubectl(&["delete", "namespace", &self.name, "--wait=false"], "");
    }
}
