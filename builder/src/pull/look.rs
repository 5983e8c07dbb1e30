//! What is in a component; components are made of core modules.

use std::{fs::File, io::Read as _};

use sha2::{Digest as _, Sha256};
use shoal_artifact::{
    ComponentFacts, ComponentPlan, Digest, Reason, Refusal, candidate, inspect, limits,
};
use tokio::sync::Semaphore;

use super::{Fetched, storage, subject, temporary};
use crate::{
    cache::{Cache, Temporary},
    compile::{Compiler, Job},
    description::ComponentDescription,
};

/// A component is in memory while it is looked into: one at a time, however many are pulled.
static LOOKING: Semaphore = Semaphore::const_new(1);

/// A component that was pulled and looked into.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) description: ComponentDescription,
    pub(crate) file: Temporary,
    pub(crate) sha256: [u8; 32],
}

/// Looks into the components of `image`, and makes components of core modules.
pub(crate) async fn look(
    fetched: Fetched,
    image: &str,
    cache: &Cache,
    compiler: &Compiler,
) -> Result<Vec<Pulled>, Refusal> {
    let mut pulled = Vec::new();
    for (component, file) in fetched.components {
        let subject = subject(image, &component.name);
        pulled.push(look_into(component, subject, file, cache, compiler).await?);
    }
    Ok(pulled)
}

/// Inspects a component; makes it one where it is a core module.
async fn look_into(
    plan: ComponentPlan,
    subject: String,
    file: Temporary,
    cache: &Cache,
    compiler: &Compiler,
) -> Result<Pulled, Refusal> {
    let (mut facts, mut file, mut sha256) = inspect_file(subject.clone(), file, cache).await?;
    if facts.is_core_module {
        let output = temporary(cache, &[])?;
        let reopen = |file: &Temporary| {
            file.reopen()
                .map(tokio::fs::File::from_std)
                .map_err(|error| storage(&error))
        };
        compiler
            .run(&Job::Componentise, reopen(&file)?, reopen(&output)?)
            .await
            .map_err(|failure| failure.refusal(&subject, compiler.limits()))?;
        (facts, file, sha256) = inspect_file(subject.clone(), output, cache).await?;
    }
    facts.check(&subject)?;
    // What the manifest says nothing about is what Spin and Shoal call the first store.
    let default =
        |opens: bool| -> Vec<String> { opens.then(|| "default".to_owned()).into_iter().collect() };
    let stores = plan
        .key_value_stores
        .unwrap_or_else(|| default(facts.opens_key_value()));
    let databases = plan
        .sqlite_databases
        .unwrap_or_else(|| default(facts.opens_sql()));
    let description = ComponentDescription {
        name: plan.name,
        digest: Digest::from_sha256(&sha256),
        routes: plan.routes,
        env: plan.env,
        variables: plan.variables,
        key_value_stores: stores,
        sqlite_databases: databases,
        // No manifest has a word for them.
        blob_stores: default(facts.opens_blobs()),
        imports: facts.imports,
    };
    Ok(Pulled {
        description,
        file,
        sha256,
    })
}

/// Reads a file whole, off the asynchronous threads. A component of the release candidate that is
/// served comes out as one of the release, in a file of its own.
async fn inspect_file(
    subject: String,
    file: Temporary,
    cache: &Cache,
) -> Result<(ComponentFacts, Temporary, [u8; 32]), Refusal> {
    let unread = format!("{subject} could not be read: the reader gave up on it");
    // The semaphore is never closed.
    let looking = LOOKING.acquire().await.ok();
    let work = move || {
        let mut bytes = Vec::new();
        let read = file.reopen().and_then(|reader: File| {
            reader
                .take(limits::COMPONENT_BYTES + 1)
                .read_to_end(&mut bytes)
        });
        read.map_err(|error| storage(&error))?;
        let released = candidate::released(&bytes);
        let wasm = released.as_ref().unwrap_or(&bytes);
        let facts = inspect(&subject, wasm)?;
        let sha256 = Sha256::digest(wasm).into();
        Ok((facts, file, sha256, released, looking))
    };
    let (facts, file, sha256, released, _looking) = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Reason::InvalidWasm, unread)))?;
    let file = match released {
        Some(wasm) => temporary(cache, &wasm)?,
        None => file,
    };
    Ok((facts, file, sha256))
}
