//! What the builder answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::Index;
use crate::{AppKey, Description, Refusal};

/// Longest time until something that was refused is asked again.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(5);

/// An answer of the builder.
#[derive(Clone, Debug)]
pub(crate) enum Answer<T> {
    /// It is this.
    Known(T),
    /// No.
    Refused(Refused),
}

/// A refusal, and when to ask again.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) refusal: Refusal,
    /// When asking again may help; `None`: only another image helps.
    pub(crate) retry_at: Option<Timestamp>,
    attempts: u32,
}

impl Refused {
    fn again(before: Option<&Self>, refusal: Refusal, now: Timestamp) -> Self {
        let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
        let first = i64::from(refusal.retry_after_seconds);
        let factor = 1_i64 << (attempts - 1).min(16);
        let wait = SignedDuration::from_secs(first.saturating_mul(factor)).min(LONGEST_RETRY);
        Self {
            retry_at: (first > 0).then(|| now + wait),
            refusal,
            attempts,
        }
    }
}

/// A digest, as far as the builder has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    /// What it holds.
    pub(crate) description: Option<Arc<Description>>,
    /// Engines that code was made for.
    pub(crate) engine_keys: BTreeSet<String>,
    /// Why not (or not for every engine).
    pub(crate) refused: Option<Refused>,
    apps: BTreeSet<AppKey>,
}

/// Digests that Apps look at.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    by_digest: BTreeMap<String, Build>,
}

impl Builds {
    /// What is known of a digest.
    pub(crate) fn get(&self, digest: &str) -> Option<&Build> {
        self.by_digest.get(digest)
    }

    /// An App looks at these digests, and no more at those of `before`.
    pub(crate) fn watch(
        &mut self,
        app: &AppKey,
        before: &BTreeSet<String>,
        now: &BTreeSet<String>,
    ) {
        for digest in now {
            self.by_digest
                .entry(digest.clone())
                .or_default()
                .apps
                .insert(app.clone());
        }
        let gone: BTreeSet<String> = before.difference(now).cloned().collect();
        self.forget(app, &gone);
    }

    /// An App looks at these digests no more.
    pub(crate) fn forget(&mut self, app: &AppKey, digests: &BTreeSet<String>) {
        for digest in digests {
            if let Some(build) = self.by_digest.get_mut(digest) {
                build.apps.remove(app);
                if build.apps.is_empty() {
                    self.by_digest.remove(digest);
                }
            }
        }
    }

    /// What was refused may be asked again; returns the Apps that look at it.
    pub(super) fn forget_refusals(&mut self) -> BTreeSet<AppKey> {
        let builds = self.by_digest.values_mut();
        builds
            .filter_map(|build| build.refused.take().map(|_| build.apps.clone()))
            .flatten()
            .collect()
    }
}

impl Index {
    /// The builder's answer to [`crate::Question::Resolve`]: the digest of the manifest.
    pub fn resolved(
        &mut self,
        app: &AppKey,
        image: &str,
        answer: Result<String, Refusal>,
        now: Timestamp,
    ) {
        let Some(entry) = self.apps.get_mut(app).filter(|entry| entry.app.is_some()) else {
            return;
        };
        let answer = match answer {
            Ok(digest) => Answer::Known(digest),
            Err(mut refusal) => {
                // A tag may be pushed, a pull secret mended: nothing about a name is final.
                if refusal.retry_after_seconds == 0 {
                    refusal.retry_after_seconds = 60;
                }
                let before = entry.images.get(image).and_then(|answer| match answer {
                    Answer::Refused(refused) => Some(refused),
                    Answer::Known(_) => None,
                });
                Answer::Refused(Refused::again(before, refusal, now))
            }
        };
        entry.images.insert(image.to_owned(), answer);
        self.dirty.insert(app.clone());
    }

    /// The builder's answer to [`crate::Question::Build`].
    pub fn built(
        &mut self,
        digest: &str,
        engine_keys: &BTreeSet<String>,
        answer: Result<Description, Refusal>,
        now: Timestamp,
    ) {
        let Some(build) = self.builds.by_digest.get_mut(digest) else {
            return;
        };
        match answer {
            Ok(description) => {
                build.description = Some(Arc::new(description));
                build.engine_keys.extend(engine_keys.iter().cloned());
                build.refused = None;
            }
            Err(refusal) => {
                build.refused = Some(Refused::again(build.refused.as_ref(), refusal, now));
            }
        }
        self.dirty.extend(build.apps.iter().cloned());
    }
}
