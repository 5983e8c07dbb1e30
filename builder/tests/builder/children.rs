//! Compile children as the kernel sees them.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use shoal_builder::{BuilderHandle, CompileLimits, Options};
use shoal_guests::huge_component;

use crate::{file, host, options, waiting::until};

/// The compile children of this process, by an argument.
fn children(marker: &str) -> Vec<PathBuf> {
    let parent = format!("\nPPid:\t{}\n", std::process::id());
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let matches = |process: &PathBuf| {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        command.contains("\0compile-child\0")
            && command.contains(marker)
            && status.contains(&parent)
    };
    processes.filter(matches).collect()
}

fn status(process: &std::path::Path, field: &str) -> String {
    let status = fs::read_to_string(process.join("status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_confined_and_ends_with_its_work() {
    let folder = tempfile::tempdir().unwrap();
    // Told from the children of other tests by its limit of processor time.
    let limits = CompileLimits {
        // It is ended here, once it was looked at.
        timeout: Duration::from_secs(600),
        cpu_seconds: 7919,
        ..CompileLimits::default()
    };
    let options = Options {
        limits,
        ..options(folder.path())
    };
    let builder = Arc::new(BuilderHandle::open(options).unwrap());
    let source = file(folder.path(), &huge_component(16));
    let digest = builder.resolve(&source).await.unwrap();
    let build = tokio::spawn({
        let builder = builder.clone();
        async move { builder.build(&source, &digest, &[host()]).await }
    });

    let child = until("a confined child", async || {
        children("\x007919\0")
            .into_iter()
            .find(|child| status(child, "Seccomp") == "2")
    })
    .await;
    assert_eq!(status(&child, "NoNewPrivs"), "1");
    assert_eq!(
        fs::read_link(child.join("cwd")).unwrap(),
        PathBuf::from("/")
    );
    let environment = String::from_utf8(fs::read(child.join("environ")).unwrap()).unwrap();
    let names: Vec<&str> = environment
        .split('\0')
        .filter_map(|entry| entry.split_once('='))
        .map(|entry| entry.0)
        .collect();
    assert_eq!(names, ["MALLOC_ARENA_MAX", "RAYON_NUM_THREADS"]);
    let mut descriptors: Vec<String> = fs::read_dir(child.join("fd"))
        .unwrap()
        .map(|entry| {
            fs::read_link(entry.unwrap().path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    descriptors.sort();
    assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    let is_pipe = |name: &String| name.starts_with("pipe:") || name.starts_with("socket:");
    assert!(descriptors.iter().all(is_pipe), "{descriptors:?}");

    let id = child.file_name().unwrap().to_str().unwrap().parse();
    let id = nix::unistd::Pid::from_raw(id.unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
    build.await.unwrap().unwrap_err();
    until("the child's end", async || {
        children("\x007919\0").is_empty().then_some(())
    })
    .await;
}
