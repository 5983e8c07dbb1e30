//! Running other programs: quietly, with their output in a file, and its end shown when they fail.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// Lines of a log that are shown when its program failed.
const TAIL: usize = 40;

/// Runs `command` with both outputs in the log `name`.
///
/// # Errors
/// It cannot be started, or ends with an error; the message holds the end of its output.
pub fn run(name: &str, command: &mut Command) -> Result<()> {
    let log = log_file(name)?;
    if !run_to(&log, command)? {
        bail!(
            "`{}` failed:\n{}\nall of it: {}",
            shown(command),
            tail(&log),
            log.display()
        );
    }
    Ok(())
}

/// Runs `command` with both outputs in `log`; whether it succeeded.
///
/// # Errors
/// It cannot be started, or the log cannot be written.
pub fn run_to(log: &Path, command: &mut Command) -> Result<bool> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let copy = file
        .try_clone()
        .context("cannot share the log between both outputs")?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    Ok(status.success())
}

/// Runs `command`, hands `input` to it, and gives its standard output.
///
/// # Errors
/// It cannot be started, or ends with an error; the message holds what it wrote to standard error.
pub fn output(command: &mut Command, input: Option<&str>) -> Result<String> {
    let output = captured(command, input)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", shown(command), text.trim());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is no UTF-8", shown(command)))
}

/// Runs `command` with its standard error in `log`, and gives its standard output; `None` if it failed.
///
/// # Errors
/// It cannot be started, or the log cannot be written.
pub fn output_beside(log: &Path, command: &mut Command) -> Result<Option<String>> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let output = child
        .wait_with_output()
        .with_context(|| format!("lost sight of `{}`", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.status.success().then_some(said))
}

/// Whether `command` succeeds, whatever it writes.
pub fn succeeds(command: &mut Command) -> bool {
    captured(command, None).is_ok_and(|output| output.status.success())
}

fn captured(command: &mut Command, input: Option<&str>) -> Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    // A thread of its own: a program that writes much before it reads all would block both.
    let writer = child
        .stdin
        .take()
        .zip(input.map(str::to_owned))
        .map(|(mut stdin, input)| {
            std::thread::spawn(move || {
                // A program may end without reading all: its exit code says whether that was right.
                let _ = stdin.write_all(input.as_bytes());
            })
        });
    let output = child
        .wait_with_output()
        .with_context(|| format!("lost sight of `{}`", shown(command)))?;
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    Ok(output)
}

/// The file for the log `name`; its folder is made.
///
/// # Errors
/// The folder cannot be made.
pub fn log_file(name: &str) -> Result<PathBuf> {
    let folder = workspace::logs();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{name}.log")))
}

/// The end of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL);
    lines.get(start..).unwrap_or_default().join("\n")
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_given_and_input_is_read() {
        assert_eq!(
            output(&mut Command::new("cat"), Some("hello")).unwrap(),
            "hello"
        );
    }

    #[test]
    fn a_failure_names_the_program_and_what_it_said() {
        let error =
            output(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), None).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`sh -c") && text.contains("no"), "{text}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = output(&mut Command::new("shoal-no-such-program"), None).unwrap_err();
        assert!(format!("{error:#}").contains("shoal-no-such-program"));
    }
}
