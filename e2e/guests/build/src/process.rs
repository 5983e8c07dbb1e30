use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many of the last lines of a failed command its error repeats.
const LAST_LINES: usize = 60;

/// Runs to the end and returns standard output; a failure repeats standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{shown} ended with {}:\n{}",
            output.status,
            message.trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed no UTF-8"))
}

/// Runs to the end, with every line of standard error to `each`; a failure repeats the last ones.
pub(crate) fn watch(command: &mut Command, each: &mut dyn FnMut(&str)) -> Result<()> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let mut last = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            each(&line);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {shown}"))?;
    if !status.success() {
        bail!(
            "{shown} ended with {status}:\n{}",
            Vec::from(last).join("\n")
        );
    }
    Ok(())
}

fn show(command: &Command) -> String {
    let mut shown = format!("`{}", command.get_program().to_string_lossy());
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown + "`"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_ran_and_what_it_printed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo because >&2; exit 3"]);
        let error = watch(&mut command, &mut |_| {}).unwrap_err().to_string();
        assert!(
            error.contains("exit 3") && error.contains("because"),
            "{error}"
        );
        assert!(
            output(&mut command)
                .unwrap_err()
                .to_string()
                .contains("because")
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = output(&mut Command::new("no-such-program"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }
}
