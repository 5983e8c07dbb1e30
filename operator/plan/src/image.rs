//! First steps of a plan: resolve and build.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use shoal_crds::{App, Reason};

use crate::{
    AppKey, AppRef, Index, Question, Refusal,
    index::{Again, Answer, AppEntry, Build, BuildKey, Refused},
    output::Plan,
    revision::{Content, ResolvedImage, compose, from_record, images_of},
    status::Verdict,
};

/// What came of the App's images.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Of `ImageResolved`; `None`: not known yet.
    pub(crate) resolved: Option<Verdict>,
    /// Of `Built`; `None`: not known yet.
    pub(crate) built: Option<Verdict>,
    /// What the spec asks for, once built.
    pub(crate) wanted: Option<Arc<Content>>,
    /// What was built before and is described, if the spec asks for something that is not built.
    pub(crate) former: Option<Arc<Content>>,
    /// Builds that this looked at.
    pub(crate) builds: BTreeSet<BuildKey>,
}

/// Looks at an App's images; adds the questions that are open to the plan.
pub(crate) fn look(
    index: &Index,
    key: &AppKey,
    app: &App,
    entry: &AppEntry,
    now: Timestamp,
    plan: &mut Plan,
) -> Images {
    let look = Look {
        index,
        key,
        app,
        entry,
        now,
    };
    let mut found = Images::default();
    match look.resolve(plan) {
        Ok(images) => {
            let text = "every image has a digest".to_owned();
            found.resolved = Some(Verdict::holds(Reason::Resolved, text));
            look.build(images, plan, &mut found);
        }
        Err(verdict) => found.resolved = verdict,
    }
    if found.wanted.is_none() && entry.memory.content.is_none() {
        look.recover_former(plan, &mut found);
    }
    found
}

struct Look<'a> {
    index: &'a Index,
    key: &'a AppKey,
    app: &'a App,
    entry: &'a AppEntry,
    now: Timestamp,
}

/// A digest, looked at.
enum Looked {
    Described(Arc<crate::Description>, BTreeSet<String>),
    Asked,
    Refused(Verdict),
}

impl Look<'_> {
    fn recorded(&self) -> Vec<ResolvedImage> {
        let status = self.app.status.as_ref();
        from_record(
            status
                .and_then(|status| status.image.as_deref())
                .unwrap_or_default(),
        )
    }

    fn pull_secrets(&self) -> Vec<String> {
        self.app
            .spec
            .image_pull_secrets
            .iter()
            .map(|secret| secret.name.clone())
            .collect()
    }

    fn resolve(&self, plan: &mut Plan) -> Result<Vec<ResolvedImage>, Option<Verdict>> {
        let recorded = self.recorded();
        let (mut images, mut refused) = (Vec::new(), None);
        for reference in images_of(&self.app.spec) {
            let known = recorded.iter().find(|image| image.reference == reference);
            match (self.entry.images.get(reference), known) {
                (Some(Answer::Known(digest)), _) => images.push(Some(digest.clone())),
                (None, Some(image)) => images.push(Some(image.digest.clone())),
                (answer, _) => {
                    images.push(None);
                    let question = Question::Resolve {
                        app: self.key.clone(),
                        image: reference.to_owned(),
                        pull_secrets: self.pull_secrets(),
                    };
                    if let Some(Answer::Refused(answer)) = answer {
                        refused.get_or_insert(refusal_verdict(&answer.refusal));
                        self.retry(answer, question, plan);
                    } else if !plan.ask.contains(&question) {
                        plan.ask.push(question);
                    }
                }
            }
        }
        let references = images_of(&self.app.spec).into_iter().map(str::to_owned);
        let found = references.zip(images).map(|(reference, digest)| {
            Some(ResolvedImage {
                reference,
                digest: digest?,
            })
        });
        found.collect::<Option<Vec<_>>>().ok_or(refused)
    }

    fn build(&self, images: Vec<ResolvedImage>, plan: &mut Plan, found: &mut Images) {
        let (mut descriptions, mut keys) = (Vec::new(), self.index.runtimes.engine_keys().clone());
        let has_engines = !keys.is_empty();
        for image in &images {
            found.builds.insert(image.build_key());
            match self.look_at(image, plan) {
                Looked::Described(description, engine_keys) => {
                    keys.retain(|key| engine_keys.contains(key));
                    descriptions.push(description);
                }
                Looked::Asked => {}
                Looked::Refused(verdict) => {
                    found.built.get_or_insert(verdict);
                }
            }
        }
        if found.built.is_some() || descriptions.len() != images.len() {
            return;
        }
        let described: Vec<&crate::Description> = descriptions.iter().map(|d| &**d).collect();
        let unbuilt = keys.is_empty();
        match compose(&self.key.name, &self.app.spec, images, &described, keys) {
            // What was written about it holds.
            Ok(content) if unbuilt && content.images.iter().all(|one| self.was_built(one)) => {}
            Ok(_) if unbuilt && has_engines => {
                let text = "the builder has no code for the engine of any runtime yet (it may be of another version \
                            of Shoal); it is asked again by itself";
                found.built = Some(Verdict::pending(Reason::Building, text));
            }
            Ok(_) if unbuilt => {}
            Ok(content) => {
                found.wanted = Some(Arc::new(content));
                let text = "the code is compiled".to_owned();
                found.built = Some(Verdict::holds(Reason::BuildSucceeded, text));
            }
            Err((reason, message)) => found.built = Some(Verdict::fails(reason, message)),
        }
    }

    /// After a restart, while the spec asks for something that is not built: what is running.
    fn recover_former(&self, plan: &mut Plan, found: &mut Images) {
        let recorded = self.recorded();
        let ([image], Some(wanted)) = (recorded.as_slice(), &self.app.spec.image) else {
            return;
        };
        if image.reference == *wanted {
            return;
        }
        found.builds.insert(image.build_key());
        if let Looked::Described(description, keys) = self.look_at(image, plan)
            && !keys.is_empty()
        {
            let images = vec![image.clone()];
            let content = compose(
                &self.key.name,
                &self.app.spec,
                images,
                &[&description],
                keys,
            );
            found.former = content.ok().map(Arc::new);
        }
    }

    fn look_at(&self, image: &ResolvedImage, plan: &mut Plan) -> Looked {
        let build = self.index.builds.get(&image.build_key());
        self.ask_for(image, build, plan);
        let described = build.and_then(|build| Some((build, build.description.clone()?)));
        let wanted = self.index.runtimes.engine_keys();
        match (described, build.and_then(|build| build.refused.as_ref())) {
            (Some((build, description)), None) => {
                Looked::Described(description, build.engine_keys.clone())
            }
            (Some((build, description)), Some(_)) if !build.engine_keys.is_disjoint(wanted) => {
                Looked::Described(description, build.engine_keys.clone())
            }
            // It was built before: until it can be asked again, what was written about it holds.
            (_, Some(refused)) if refused.retry_at.is_some() && self.was_built(image) => {
                Looked::Asked
            }
            (_, Some(refused)) => Looked::Refused(refusal_verdict(&refused.refusal)),
            (None, None) => Looked::Asked,
        }
    }

    /// Asks for what is not known of an image, for code that was not made yet, and for code that runtimes miss.
    fn ask_for(&self, image: &ResolvedImage, build: Option<&Build>, plan: &mut Plan) {
        let wanted = self.index.runtimes.engine_keys();
        let described = build.filter(|build| build.description.is_some());
        let question = |engine_keys: BTreeSet<String>| Question::Build {
            app: self.key.clone(),
            image: image.reference.clone(),
            pull_secrets: self.pull_secrets(),
            digest: image.digest.clone(),
            engine_keys,
        };
        let mut lacking: BTreeSet<String> = match described {
            Some(build) => wanted.difference(&build.engine_keys).cloned().collect(),
            None => wanted.clone(),
        };
        lacking.extend(self.missed());
        if lacking.is_empty() && described.is_some() {
            return;
        }
        if let Some(refused) = build.and_then(|build| build.refused.as_ref()) {
            self.retry(refused, question(lacking), plan);
            return;
        }
        if lacking.is_empty() && self.now < self.index.runtimes.settled_at() {
            // Runtimes will say in a moment for which engine.
            plan.recheck(self.index.runtimes.settled_at());
            return;
        }
        let later = |key: &String| {
            build
                .and_then(|build| build.again.get(key))
                .map(|a: &Again| a.at)
        };
        let (waiting, due): (BTreeSet<String>, BTreeSet<String>) = lacking
            .into_iter()
            .partition(|key| later(key).is_some_and(|at| at > self.now));
        if let Some(at) = waiting.iter().filter_map(later).min() {
            plan.recheck(at);
        }
        if !due.is_empty() || described.is_none() {
            let question = question(due);
            if !plan.ask.contains(&question) {
                plan.ask.push(question);
            }
        }
    }

    /// Engines of the runtimes that do not get the App's code.
    fn missed(&self) -> BTreeSet<String> {
        let runtimes = &self.index.runtimes;
        let uid = self.app.metadata.uid.as_deref().unwrap_or_default();
        let app = AppRef::new(self.key, uid);
        let missing = |pod: &&Arc<str>| {
            let report = runtimes.report(pod, &app);
            report.is_some_and(|report| report.reason == Reason::CodeUnavailable.as_str())
        };
        let pods = runtimes.reporting(self.key).filter(missing);
        pods.filter_map(|pod| runtimes.engine_key(pod))
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn was_built(&self, image: &ResolvedImage) -> bool {
        self.recorded().contains(image)
    }

    fn retry(&self, refused: &Refused, question: Question, plan: &mut Plan) {
        match refused.retry_at {
            Some(at) if at <= self.now => plan.ask.push(question),
            Some(at) => plan.recheck(at),
            None => {}
        }
    }
}

fn refusal_verdict(refusal: &Refusal) -> Verdict {
    let verdict = Verdict::refused(&refusal.reason, &refusal.message);
    if refusal.retry_after_seconds == 0 {
        verdict
    } else {
        verdict.retried()
    }
}
