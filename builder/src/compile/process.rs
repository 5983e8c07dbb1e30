//! The parent's side of one child.

use std::{io, path::Path, process::Stdio};

use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use super::{CHILD_ARGUMENT, CompileLimits, Job, outcome::Failure};

/// What a child made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Kept of what a child says on standard error.
const STDERR_BYTES: u64 = 8 << 10;
/// Threads of one child: more gain little, and each reserves memory of the child's limit.
const MAX_THREADS: usize = 4;

pub(super) async fn run(
    program: &Path,
    limits: &CompileLimits,
    job: &Job,
    wasm: File,
    output: File,
) -> Result<Output, Failure> {
    let mut child = spawn(program, limits, job)?;
    // Dropping the child kills it, so every way out of here ends it.
    match timeout(limits.timeout, converse(&mut child, limits, wasm, output)).await {
        Err(_) => Err(Failure::Timeout),
        Ok(result) => result,
    }
}

fn spawn(program: &Path, limits: &CompileLimits, job: &Job) -> io::Result<Child> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    let job = match job {
        Job::Componentise => "componentise".to_owned(),
        Job::Compile(engine_key) => engine_key.to_string(),
    };
    Command::new(program)
        .arg(CHILD_ARGUMENT)
        .arg(job)
        .arg(limits.cpu_seconds.to_string())
        .arg(limits.memory_bytes.to_string())
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        // Each arena reserves 64 MiB of address space, which is limited.
        .env("MALLOC_ARENA_MAX", "2")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn converse(
    child: &mut Child,
    limits: &CompileLimits,
    wasm: File,
    output: File,
) -> Result<Output, Failure> {
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("a pipe is missing").into());
    };
    let (fed, copied, said) = tokio::join!(
        feed(wasm, stdin),
        copy(stdout, output, limits.output_bytes),
        listen(stderr)
    );
    let status = child.wait().await?;
    // Its output is no longer read then, which ends it: how it ended says nothing.
    let output = copied?;
    // Likewise where it was not given all of its input; a pipe that it closed is its own doing.
    if let Err(error) = &fed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(Failure::Io(error.to_string()));
    }
    if !status.success() {
        return Err(Failure::Ended {
            status,
            stderr: said,
        });
    }
    fed?;
    Ok(output)
}

async fn feed(mut wasm: File, mut stdin: ChildStdin) -> io::Result<()> {
    tokio::io::copy(&mut wasm, &mut stdin).await?;
    stdin.shutdown().await
}

async fn copy(
    mut stdout: impl AsyncRead + Unpin,
    mut output: File,
    bound: u64,
) -> Result<Output, Failure> {
    let (mut size, mut hash) = (0_u64, Sha256::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = stdout.read(&mut buffer).await?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        size += chunk.len() as u64;
        if size > bound {
            return Err(Failure::OutputTooLarge);
        }
        hash.update(chunk);
        output.write_all(chunk).await?;
    }
    output.flush().await?;
    Ok(Output {
        size,
        sha256: hash.finalize().into(),
    })
}

async fn listen(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // What it says is for a message only: a broken pipe loses nothing else.
    let _ = (&mut stderr)
        .take(STDERR_BYTES)
        .read_to_end(&mut bytes)
        .await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use shoal_artifact::Reason;

    use super::*;

    /// What is told of a child that is `program`, is given 4 MiB and writes to `output`.
    async fn told(program: &str, output: &str) -> Reason {
        let mut wasm = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut wasm, &vec![0; 4 << 20]).unwrap();
        std::io::Seek::rewind(&mut wasm).unwrap();
        let output = std::fs::File::create(output).unwrap().into();
        let limits = CompileLimits::default();
        let job = Job::Componentise;
        let ended = run(Path::new(program), &limits, &job, wasm.into(), output).await;
        ended.unwrap_err().refusal("component `a`", &limits).reason
    }

    #[tokio::test]
    async fn a_full_volume_is_not_the_compilers_fault() {
        let reason = told("/usr/bin/yes", "/dev/full").await;
        assert_eq!(reason, Reason::BuilderUnavailable);
    }

    #[tokio::test]
    async fn a_child_that_does_not_read_to_the_end_is_judged_by_how_it_ended() {
        let reason = told("/usr/bin/false", "/dev/null").await;
        assert_eq!(reason, Reason::CompilerCrashed);
    }
}
