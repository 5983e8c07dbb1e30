//! The code that this node has: each component's once, mapped while it is used and there is room.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use shoal_artifact::Digest;

use super::{
    CodeSource, FetchError, blocking,
    component::{ComponentCode, Known, Prepared},
    eviction,
    file::VerifiedFile,
    files::CodeFiles,
    handler::Handler,
    load,
    room::{Amount, Resource, Room, Short, Taken},
};
use crate::{
    allocator,
    engine::{GuestEngine, weight},
};

/// Why a component's code is not usable here.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodeError {
    /// It did not come. Worth another try.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It came, and not from the builder. Worth another try: keys may be on their way.
    #[error("{0}")]
    Signature(#[from] shoal_engine::BadSignature),
    /// The disk. Worth another try.
    #[error("code cannot be kept in {folder}: {reason}")]
    Disk {
        /// Folder of the code.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is the builder's, and does not load now: no descriptor or memory is left for its map. Worth
    /// another try.
    #[error("its code does not load: {0}")]
    Load(String),
    /// All that may be mapped is in use. Worth another try.
    #[error("its code cannot be mapped: the node's {limit} {} are in use", .resource.as_str())]
    NoRoom {
        /// What there is too little of.
        resource: Resource,
        /// How much there is in all.
        limit: u64,
    },
    /// It does not link, with the names of what is missing.
    #[error("{0}")]
    Link(String),
}

/// All code of the node.
pub struct CodeCache {
    files: CodeFiles,
    engine: Arc<GuestEngine>,
    room: Arc<Room>,
    /// One at a time makes room: two would take each other's for nothing left to give up.
    making_room: tokio::sync::Mutex<()>,
    began: Instant,
    components: Mutex<HashMap<Digest, Weak<ComponentCode>>>,
}

/// Of what is short, this part more is given back than is wanted, so that not each mapping has to look.
const AHEAD: u64 = 64;

impl CodeCache {
    /// Code is kept in `folder`, which is made owner-only; at most `room` of it is mapped at once.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(
        folder: &Path,
        source: Arc<dyn CodeSource>,
        engine: Arc<GuestEngine>,
        room: Amount,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            files: CodeFiles::open(folder, source, engine.key().clone())?,
            engine,
            room: Room::new(room),
            making_room: tokio::sync::Mutex::default(),
            began: Instant::now(),
            components: Mutex::default(),
        }))
    }

    /// Whose signatures count from now on: Ed25519 public keys of 32 bytes.
    pub fn trust(&self, keys: Vec<Vec<u8>>) {
        self.files.trust(keys);
    }

    /// What is mapped, and may be.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// The code of a component, which may be anywhere yet.
    pub fn component(self: &Arc<Self>, digest: &Digest) -> Arc<ComponentCode> {
        let mut components = self.components.lock();
        if let Some(component) = components.get(digest).and_then(Weak::upgrade) {
            return component;
        }
        let component = Arc::new(ComponentCode::new(digest.clone(), Arc::downgrade(self)));
        components.insert(digest.clone(), Arc::downgrade(&component));
        component
    }

    /// Makes sure that the code is on disk, without mapping it.
    ///
    /// # Errors
    /// [`CodeError`], all worth another try.
    pub async fn keep(self: &Arc<Self>, digest: &Digest) -> Result<(), CodeError> {
        let component = self.component(digest);
        let mut known = component.known.lock().await;
        let file = self.files.file(digest, known.proof.clone()).await?;
        known.proof = Some(file.proof().clone());
        Ok(())
    }

    /// Fetches, verifies, maps and links.
    pub(super) async fn prepare(
        &self,
        component: &ComponentCode,
        known: &mut Known,
    ) -> Result<Prepared, CodeError> {
        let file = self.files.file(component.digest(), known.proof.clone());
        let file = file.await?;
        known.proof = Some(file.proof().clone());
        let taken = self.make_room(Amount::of_code(file.bytes())).await?;
        let engine = Arc::clone(&self.engine);
        blocking(move || prepare(&engine, &file, taken)).await
    }

    async fn make_room(&self, amount: Amount) -> Result<Taken, CodeError> {
        if let Ok(taken) = self.room.take(amount) {
            return Ok(taken);
        }
        let _alone = self.making_room.lock().await;
        loop {
            let short = match self.room.take(amount) {
                Ok(taken) => return Ok(taken),
                Err(short) => short,
            };
            if !self.give_up(short).await {
                let Short { resource, .. } = short;
                let (_, limit) = self.room.usage(resource);
                return Err(CodeError::NoRoom { resource, limit });
            }
        }
    }

    /// Unmaps what is needed least, until there is room for what was short; whether anything went.
    async fn give_up(&self, Short { resource, by }: Short) -> bool {
        let (_, most) = self.room.usage(resource);
        let now = self.seconds(Instant::now());
        let mapped: Vec<_> = self
            .all()
            .into_iter()
            .filter_map(|component| Some((component.candidate(resource, now)?, component)))
            .collect();
        let candidates: Vec<_> = mapped.iter().map(|(candidate, _)| *candidate).collect();
        let gone = eviction::victims(&candidates, by.max(most / AHEAD));
        let gone: Vec<_> = gone
            .into_iter()
            .filter_map(|position| mapped.get(position)?.1.unmap())
            .collect();
        unmap(gone).await
    }

    /// Unmaps what no request used for so long.
    pub(crate) async fn unmap_idle(&self, idle: Duration) {
        let now = self.seconds(Instant::now());
        let idle = self
            .all()
            .into_iter()
            .filter(|component| component.is_idle(now, idle))
            .filter_map(|component| component.unmap())
            .collect();
        unmap(idle).await;
    }

    /// Removes the files of all that is not in `needed`. What serves still runs on.
    pub async fn collect(&self, mut needed: HashSet<Digest>) {
        {
            let mut components = self.components.lock();
            components.retain(|_, component| component.strong_count() > 0);
            needed.extend(components.keys().cloned());
        }
        self.files.keep_only(needed).await;
    }

    /// Since this node began.
    pub(super) fn seconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }

    fn all(&self) -> Vec<Arc<ComponentCode>> {
        let components = self.components.lock();
        components.values().filter_map(Weak::upgrade).collect()
    }
}

/// Lets go of code where it may take long; whether there was any.
async fn unmap(gone: Vec<Arc<Prepared>>) -> bool {
    let any = !gone.is_empty();
    if any {
        blocking(move || {
            drop(gone);
            allocator::trim();
        })
        .await;
    }
    any
}

/// Maps and links. The message names what is missing.
fn prepare(engine: &GuestEngine, file: &VerifiedFile, taken: Taken) -> Result<Prepared, CodeError> {
    let component = load::component(engine.engine(), file)
        .map_err(|error| CodeError::Load(format!("{error:#}")))?;
    let weight = weight(&component).map_err(CodeError::Link)?;
    let pre = engine
        .linker()
        .instantiate_pre(&component)
        .map_err(|error| CodeError::Link(format!("{error:#}")))?;
    let handler = Handler::of(pre).map_err(CodeError::Link)?;
    Ok(Prepared {
        handler,
        weight,
        taken,
    })
}
