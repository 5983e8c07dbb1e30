use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::guest::{GUESTS, Guest, MANIFESTS, Source};
use crate::toolchain::{Target, Toolchain};
use crate::{cache, checkout, fingerprint, process};

const OUTPUT: &str = "target/guests";

/// Builds every guest of the repository at `root`, unless the cache has them, and puts them at
/// `target/guests/NAME.wasm` and next to the manifests that name them.
///
/// Blocks; `progress` is told what is being done, a short line at a time. Returns [`path`] of
/// each guest by its name.
pub fn build_all(root: &Path, progress: &mut dyn FnMut(&str)) -> Result<BTreeMap<String, PathBuf>> {
    let cache = cache::folder()?;
    let _one_at_a_time = cache::lock(&cache, progress)?;
    let toolchain = Toolchain::find(root, &cache, progress)?;
    let fingerprint = fingerprint::fingerprint(root, &toolchain.identity())?;
    let set = cache::set(&cache, &fingerprint);
    if !set.is_dir() {
        compile(root, &toolchain, &cache, &set, progress)?;
        cache::prune(&cache, &set);
    }
    install(root, &set)
}

/// Where [`build_all`] puts a guest: a `.wasm` file, or a folder with a `spin.toml`. Whether it is
/// there, the caller finds out.
pub fn path(root: &Path, name: &str) -> PathBuf {
    match MANIFESTS.iter().find(|(manifest, _)| *manifest == name) {
        Some((_, folder)) => root.join(folder),
        None => root.join(OUTPUT).join(format!("{name}.wasm")),
    }
}

fn compile(
    root: &Path,
    toolchain: &Toolchain,
    cache: &Path,
    set: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    progress(&format!("compiling {} guests", GUESTS.len()));
    // One folder for all workspaces: what they share is compiled once.
    let target_folder = cache.join("guests-target");
    checkout::claim(&target_folder, root)?;
    for source in [Source::Guests, Source::Example] {
        for target in Target::ALL {
            let chosen = |guest: &&Guest| guest.source == source && guest.target == target;
            let guests: Vec<_> = GUESTS.iter().filter(chosen).collect();
            for workspace in workspaces(root, &guests) {
                let mut command = toolchain.cargo_build(target);
                command
                    .current_dir(&workspace.folder)
                    .env("CARGO_TARGET_DIR", &target_folder);
                for package in workspace.packages {
                    command.args(["-p", package]);
                }
                process::watch(&mut command, &mut |line| {
                    if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
                        progress(&format!("compiling guests: {package}"));
                    }
                })?;
            }
        }
    }
    publish(&target_folder, set)
}

/// One run of Cargo.
struct Workspace {
    folder: PathBuf,
    packages: Vec<&'static str>,
}

fn workspaces(root: &Path, guests: &[&Guest]) -> Vec<Workspace> {
    let mut runs: Vec<Workspace> = Vec::new();
    for guest in guests {
        let folder = match guest.source {
            Source::Guests => root.join("e2e/guests"),
            Source::Example => root.join("examples").join(guest.name),
        };
        match runs.iter_mut().find(|run| run.folder == folder) {
            Some(run) => run.packages.push(guest.name),
            None => runs.push(Workspace {
                folder,
                packages: vec![guest.name],
            }),
        }
    }
    runs
}

/// Moves the whole set into the cache at once, so that what is there is complete.
fn publish(target_folder: &Path, set: &Path) -> Result<()> {
    let partial = set.with_extension("partial");
    let context = || format!("cannot write {}", partial.display());
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(context)?;
    }
    fs::create_dir_all(&partial).with_context(context)?;
    for guest in GUESTS {
        let built = target_folder.join(guest.artifact());
        fs::copy(&built, partial.join(guest.file_name()))
            .with_context(|| format!("Cargo did not make {}", built.display()))?;
    }
    fs::rename(&partial, set).with_context(|| format!("cannot write {}", set.display()))
}

fn install(root: &Path, set: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = root.join(OUTPUT);
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let mut files = BTreeMap::new();
    for guest in GUESTS {
        let from = set.join(guest.file_name());
        let to = output.join(guest.file_name());
        cache::copy(&from, &to)?;
        for folder in guest.copies {
            cache::copy(&from, &root.join(folder).join(guest.file_name()))?;
        }
        files.insert(guest.name.to_owned(), to);
    }
    files.extend(
        MANIFESTS
            .iter()
            .map(|(name, folder)| ((*name).to_owned(), root.join(folder))),
    );
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_a_file_or_a_folder_with_a_manifest() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        assert!(path(&root, "hello").ends_with("target/guests/hello.wasm"));
        for (name, _) in MANIFESTS {
            assert!(path(&root, name).join("spin.toml").is_file());
        }
    }

    #[test]
    fn guests_of_one_workspace_are_built_in_one_run() {
        let guests: Vec<_> = GUESTS
            .iter()
            .filter(|guest| guest.source == Source::Guests)
            .collect();
        let runs = workspaces(Path::new("/r"), &guests);
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].packages.len(), guests.len());
    }
}
