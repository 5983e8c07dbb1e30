//! The cluster, through kubectl.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::process;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(250);

/// Who owns the fields that are applied from here.
const MANAGER: &str = "shoal-xtask";

/// kubectl, and which cluster it is to talk to.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
}

impl Kubectl {
    /// kubectl of PATH with a context of the user's kubeconfig.
    pub fn of_context(context: &str) -> Self {
        Self {
            program: "kubectl".into(),
            kubeconfig: None,
            context: Some(context.to_owned()),
        }
    }

    /// A kubectl of our own with a kubeconfig of our own.
    pub fn of_kubeconfig(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self {
            program,
            kubeconfig: Some(kubeconfig),
            context: None,
        }
    }

    /// A command with `arguments`, yet to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        command.args(arguments);
        command
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        process::output(&mut self.command(arguments), None)
    }

    /// An object, or a list of objects; none if it does not exist.
    ///
    /// # Errors
    /// The API server cannot be reached, or refuses.
    pub fn json(&self, arguments: &[&str]) -> Result<Option<Value>> {
        let mut all = vec!["get", "--ignore-not-found", "--output", "json"];
        all.extend(arguments);
        let text = self.text(&all)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// Applies `manifest`, server-side: the field manager `shoal-xtask` owns what is in it.
    /// What changed, one line an object; empty when all was as it is to be.
    ///
    /// # Errors
    /// An object is refused.
    pub fn apply(&self, manifest: &str) -> Result<Vec<String>> {
        let before = self.versions(manifest);
        let arguments = [
            "apply",
            "--server-side",
            &format!("--field-manager={MANAGER}"),
            "--force-conflicts",
            "--filename=-",
        ];
        process::output(&mut self.command(&arguments), Some(manifest))?;
        let after = self.versions(manifest);
        Ok(after
            .into_iter()
            .filter(|line| !before.contains(line))
            .collect())
    }

    /// `kind/name`, UID, generation and when [`Self::apply`] last changed it, of every object of
    /// `manifest` that exists. Not the resource version: controllers write status at any time.
    fn versions(&self, manifest: &str) -> Vec<String> {
        let output = format!(
            "jsonpath={{range .items[*]}}{{.kind}}/{{.metadata.name}} {{.metadata.uid}} \
             {{.metadata.generation}} \
             {{.metadata.managedFields[?(@.manager==\"{MANAGER}\")].time}}{{\"\\n\"}}{{end}}"
        );
        let arguments = [
            "get",
            "--ignore-not-found",
            "--show-managed-fields",
            "--filename=-",
            "--output",
            &output,
        ];
        let text = process::output(&mut self.command(&arguments), Some(manifest));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until `check` gives something.
    ///
    /// # Errors
    /// `deadline` passes; the message is `wanted` and what `check` last said against it.
    pub fn until<T>(
        &self,
        wanted: &str,
        deadline: Duration,
        mut check: impl FnMut(&Self) -> Result<Result<T, String>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            let why = match check(self) {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(why)) => why,
                Err(error) => format!("{error:#}"),
            };
            if started.elapsed() > deadline {
                bail!("{wanted}: not within {} s: {why}", deadline.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }
}
