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
/// Seconds until code that is not there is asked for again the first time.
const FIRST_RETRY: i64 = 10;

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
        Self {
            retry_at: (first > 0).then(|| now + pause(first, attempts)),
            refusal,
            attempts,
        }
    }
}

/// The pause after so many attempts.
fn pause(first: i64, attempts: u32) -> SignedDuration {
    let factor = 1_i64 << attempts.saturating_sub(1).min(16);
    SignedDuration::from_secs(first.saturating_mul(factor)).min(LONGEST_RETRY)
}

/// What was built: a manifest of a repository. The digest alone would let the owner of one repository answer for what
/// is in another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BuildKey {
    repository: String,
    digest: String,
}

impl BuildKey {
    /// The manifest `digest` of the repository that `reference` names.
    pub(crate) fn new(reference: &str, digest: &str) -> Self {
        let name = reference
            .split_once('@')
            .map_or(reference, |(name, _)| name);
        let repository = match name.rsplit_once(':') {
            // Otherwise the colon is that of a port.
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        };
        Self {
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        }
    }
}

/// What the builder made of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What it holds.
    pub description: Description,
    /// Of the engines asked for, those that code is kept and served for now.
    pub engine_keys: BTreeSet<String>,
}

/// When to ask again for code that is not there although nothing was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    /// Not before then.
    pub(crate) at: Timestamp,
    attempts: u32,
}

impl Again {
    fn after(before: Option<&Self>, now: Timestamp) -> Self {
        // What went wrong long ago has nothing to do with what goes wrong now.
        let recent = before.filter(|before| now < before.at + LONGEST_RETRY);
        let attempts = recent.map_or(0, |before| before.attempts).saturating_add(1);
        Self {
            at: now + pause(FIRST_RETRY, attempts),
            attempts,
        }
    }
}

/// A manifest, as far as the builder has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    /// What it holds.
    pub(crate) description: Option<Arc<Description>>,
    /// Engines that code was made for.
    pub(crate) engine_keys: BTreeSet<String>,
    /// Engines whose code was missed, or not made, and when to ask for it again.
    pub(crate) again: BTreeMap<String, Again>,
    /// Why not (or not for every engine).
    pub(crate) refused: Option<Refused>,
    apps: BTreeSet<AppKey>,
}

impl Build {
    fn take(&mut self, asked: &BTreeSet<String>, built: Built, now: Timestamp) {
        // Asked for although it was there: a runtime missed it, and may do so again.
        let missed = asked.intersection(&self.engine_keys).cloned();
        let unmade = asked.difference(&built.engine_keys).cloned();
        for key in missed.chain(unmade).collect::<BTreeSet<_>>() {
            let again = Again::after(self.again.get(&key), now);
            self.again.insert(key, again);
        }
        self.description = Some(Arc::new(built.description));
        self.engine_keys.retain(|key| !asked.contains(key));
        self.engine_keys
            .extend(built.engine_keys.intersection(asked).cloned());
        self.refused = None;
    }
}

/// Manifests that Apps look at.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    by_key: BTreeMap<BuildKey, Build>,
}

impl Builds {
    /// What is known of a manifest.
    pub(crate) fn get(&self, key: &BuildKey) -> Option<&Build> {
        self.by_key.get(key)
    }

    /// An App looks at these, and no more at those of `before`.
    pub(crate) fn watch(
        &mut self,
        app: &AppKey,
        before: &BTreeSet<BuildKey>,
        now: &BTreeSet<BuildKey>,
    ) {
        for key in now {
            self.by_key
                .entry(key.clone())
                .or_default()
                .apps
                .insert(app.clone());
        }
        let gone: BTreeSet<BuildKey> = before.difference(now).cloned().collect();
        self.forget(app, &gone);
    }

    /// An App looks at these no more.
    pub(crate) fn forget(&mut self, app: &AppKey, keys: &BTreeSet<BuildKey>) {
        for key in keys {
            if let Some(build) = self.by_key.get_mut(key) {
                build.apps.remove(app);
                if build.apps.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }

    /// What was refused may be asked again; returns the Apps that look at it.
    pub(super) fn forget_refusals(&mut self) -> BTreeSet<AppKey> {
        let builds = self.by_key.values_mut();
        builds
            .filter_map(|build| build.refused.take().map(|_| build.apps.clone()))
            .flatten()
            .collect()
    }

    /// What was refused of these for now may be asked again at once.
    pub(super) fn forget_passing_refusals(&mut self, keys: &BTreeSet<BuildKey>) {
        for key in keys {
            if let Some(build) = self.by_key.get_mut(key) {
                build.refused.take_if(|refused| refused.retry_at.is_some());
            }
        }
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

    /// The builder's answer to [`crate::Question::Build`], of whose parts the first three are.
    pub fn built(
        &mut self,
        image: &str,
        digest: &str,
        engine_keys: &BTreeSet<String>,
        answer: Result<Built, Refusal>,
        now: Timestamp,
    ) {
        let key = BuildKey::new(image, digest);
        let Some(build) = self.builds.by_key.get_mut(&key) else {
            return;
        };
        match answer {
            Ok(built) => build.take(engine_keys, built, now),
            Err(refusal) => {
                build.refused = Some(Refused::again(build.refused.as_ref(), refusal, now));
            }
        }
        self.dirty.extend(build.apps.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_of_a_repository_whatever_its_tag() {
        for (reference, repository) in [
            ("reg.example/a/b", "reg.example/a/b"),
            ("reg.example/a/b:1", "reg.example/a/b"),
            ("reg.example:5000/a/b", "reg.example:5000/a/b"),
            ("reg.example:5000/a/b:1@sha256:00", "reg.example:5000/a/b"),
            ("b@sha256:00", "b"),
        ] {
            assert_eq!(BuildKey::new(reference, "d").repository, repository);
        }
    }
}
