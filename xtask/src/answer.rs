//! Calling an app, and what came back.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_cluster::Cluster;

use crate::kubectl::Kubectl;
use crate::process;

/// Lines of a body that are shown.
const LINES: usize = 8;
/// Characters of a line that are shown.
const WIDTH: usize = 100;
/// kube-proxy and DNS take a moment after the App is Ready.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `HTTP/1.1 200 OK`.
    pub status: String,
    /// The first lines of the body.
    pub beginning: String,
}

/// `GET url` by curl on a node of the local cluster, until it answers 200.
///
/// # Errors
/// It does not within 20 s.
pub fn on_node(cluster: &Cluster, node: u8, url: &str) -> Result<Answer> {
    let kubectl = crate::local::kubectl(cluster);
    kubectl.until(&format!("{url} answers 200"), ANSWERS_WITHIN, |_| {
        let output = cluster.curl(Some(node), &["-sS", "-i", "--max-time", "5", url])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(good(&String::from_utf8_lossy(&output.stdout)))
    })
}

/// `GET /` of an App through `kubectl port-forward` to a runtime that serves it.
///
/// # Errors
/// No runtime pod of it is found, or it does not answer 200.
pub fn forwarded(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<Answer> {
    let slices = kubectl.text(&[
        "--namespace", namespace, "get", "endpointslices",
        "--selector", &format!("kubernetes.io/service-name={name}"),
        "--output", "jsonpath={range .items[*]}{.endpoints[?(@.conditions.ready==true)].targetRef.name} {.ports[0].port}{\"\\n\"}{end}",
    ])?;
    let (pod, port) = first_endpoint(&slices)
        .with_context(|| format!("no ready endpoint of {namespace}/{name}"))?;
    let mut forward = Forward::start(kubectl, &pod, &port)?;
    let url = format!("http://{}/", forward.address()?);
    kubectl.until(&format!("{url} answers 200"), ANSWERS_WITHIN, |_| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-i", "--noproxy", "*", "--max-time", "5", &url]);
        Ok(good(&process::output(&mut curl, None)?))
    })
}

/// A line holds the pods of a slice, then the port.
fn first_endpoint(slices: &str) -> Option<(String, String)> {
    slices.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [pod, .., port] => Some(((*pod).to_owned(), (*port).to_owned())),
            _ => None,
        }
    })
}

/// `kubectl port-forward`, as long as this lives.
struct Forward {
    child: Child,
    /// Held open: kubectl says a line for each connection, and ends when nobody can read it.
    output: BufReader<ChildStdout>,
}

impl Forward {
    fn start(kubectl: &Kubectl, pod: &str, port: &str) -> Result<Self> {
        let pod = format!("pod/{pod}");
        let ports = format!(":{port}");
        let arguments = [
            "--namespace",
            "shoal-system",
            "port-forward",
            "--address=127.0.0.1",
            &pod,
            &ports,
        ];
        let mut child = kubectl
            .command(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start kubectl port-forward")?;
        let output = child
            .stdout
            .take()
            .context("kubectl port-forward has no output")?;
        Ok(Self {
            child,
            output: BufReader::new(output),
        })
    }

    /// `Forwarding from 127.0.0.1:41234 -> 10001`
    fn address(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("kubectl port-forward says nothing")?;
        match line
            .strip_prefix("Forwarding from ")
            .and_then(|rest| rest.split_whitespace().next())
        {
            Some(address) => Ok(address.to_owned()),
            None => bail!("kubectl port-forward ended, or says: {line}"),
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response with its head, if its status is 200; else why not.
fn good(response: &str) -> Result<Answer, String> {
    let response = response.replace("\r\n", "\n");
    let (head, body) = response.split_once("\n\n").unwrap_or((&response, ""));
    let status = head.lines().next().unwrap_or_default().to_owned();
    if status.split_whitespace().nth(1) != Some("200") {
        return Err(format!("{status} {}", beginning(body)));
    }
    Ok(Answer {
        status,
        beginning: beginning(body),
    })
}

fn beginning(body: &str) -> String {
    let mut lines = body.lines().filter(|line| !line.trim().is_empty());
    let mut shown: Vec<String> = lines
        .by_ref()
        .take(LINES)
        .map(|line| line.chars().take(WIDTH).collect())
        .collect();
    if lines.next().is_some() {
        shown.push("...".to_owned());
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_200_is_good_and_its_body_is_cut() {
        let body: String = (0..20).map(|n| format!("line {n}\n\n")).collect();
        let answer = good(&format!("HTTP/1.1 200 OK\r\nx: y\r\n\r\n{body}")).unwrap();
        assert_eq!(answer.status, "HTTP/1.1 200 OK");
        assert_eq!(answer.beginning.lines().count(), LINES + 1);
    }

    #[test]
    fn anything_else_says_what_came() {
        assert_eq!(
            good("HTTP/1.1 503 Service Unavailable\r\n\r\nbusy").unwrap_err(),
            "HTTP/1.1 503 Service Unavailable busy"
        );
        assert!(good("").is_err());
    }

    #[test]
    fn a_slice_names_its_pods_and_then_the_port() {
        let found = first_endpoint(" 10001\nshoal-runtime-a shoal-runtime-b 10001\n");
        assert_eq!(found, Some(("shoal-runtime-a".into(), "10001".into())));
        assert_eq!(first_endpoint(""), None);
    }
}
