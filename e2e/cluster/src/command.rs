//! Running a program to its end.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `program` and returns what it printed.
///
/// # Errors
/// It cannot be started, or ends with another code than 0: the error has its command line and
/// what it wrote to standard error.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).env("PATH", search_path());
    finish(&mut command)
}

/// Runs a prepared command as [`run`] does.
///
/// # Errors
/// As [`run`].
pub fn finish(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", line(command)))?;
    printed(command, &output)
}

/// Runs a prepared command as [`run`] does, with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub fn finish_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", line(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says itself why.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    printed(command, &output)
}

fn printed(command: &Command, output: &Output) -> Result<String> {
    if !output.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The search path of the programs that the cluster consists of: root's own folders are in it
/// even when the caller's PATH has none of them.
pub fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let root = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    if own.is_empty() {
        root.to_owned()
    } else {
        format!("{own}:{root}")
    }
}

/// Where `program` is, as a shell would find it on [`search_path`].
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    search_path()
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| std::path::Path::new(folder).join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_what_it_said() {
        let error = run("sh", &["-c", "echo too bad >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("too bad"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        let printed = finish_with_input(&mut Command::new("cat"), b"hello").unwrap();
        assert_eq!(printed, "hello");
    }

    #[test]
    fn a_program_that_does_not_exist_is_not_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
