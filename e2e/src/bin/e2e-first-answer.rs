//! How long after an App is applied its Service answers. Runs on a node: `KUBECTL NAMESPACE IMAGE COUNT`.
//!
//! Creates Apps one after another, asks each Service for `/` without pause until it answers 200, and
//! prints a JSON list of milliseconds, counted from before the request that creates the App. One App
//! goes ahead of the COUNT that are listed, for which the code is built.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// An App that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks; what is measured is two orders of magnitude longer.
const PAUSE: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kubectl, namespace, image, count] = arguments.as_slice() else {
        bail!("arguments: KUBECTL NAMESPACE IMAGE COUNT");
    };
    let count: usize = count.parse().context("COUNT is no number")?;
    let api = Api::start(kubectl)?;
    first_answer(&api, namespace, "ahead", image)?;
    let times: Result<Vec<f64>> = (0..count)
        .map(|number| first_answer(&api, namespace, &format!("first-{number}"), image))
        .collect();
    println!("{}", serde_json::to_string(&times?)?);
    Ok(())
}

fn first_answer(api: &Api, namespace: &str, name: &str, image: &str) -> Result<f64> {
    let app = json!({
        "apiVersion": "shoal.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"image": image},
    });
    let started = Instant::now();
    let path = format!("/apis/shoal.dev/v1alpha1/namespaces/{namespace}/apps");
    let (status, answer) = api.request("POST", &path, &app.to_string())?;
    ensure!(status == 201, "{name} is refused with {status}: {answer}");
    let service = format!("/api/v1/namespaces/{namespace}/services/{name}");
    let address = until(started, name, || {
        let (_, answer) = api.request("GET", &service, "").ok()?;
        let service: Value = serde_json::from_str(&answer).ok()?;
        let ip = service.pointer("/spec/clusterIP")?.as_str()?.parse().ok()?;
        Some(SocketAddr::new(ip, 80))
    })?;
    until(started, name, || {
        let (status, _) = exchange(address, "GET", "/", "").ok()?;
        (status == 200).then_some(())
    })?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn until<T>(started: Instant, name: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(started.elapsed() < LIMIT, "{name} does not answer");
        thread::sleep(PAUSE);
    }
}

/// The API server, through a `kubectl proxy` of our own: the time that a kubectl takes to start is not
/// what is measured.
struct Api {
    proxy: Child,
    address: SocketAddr,
}

impl Api {
    fn start(kubectl: &str) -> Result<Self> {
        let mut proxy = Command::new(kubectl)
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        let output = proxy.stdout.take().context("kubectl has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line
            .trim()
            .rsplit(' ')
            .next()
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("kubectl proxy says {line:?}"))?;
        Ok(Self { proxy, address })
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        exchange(self.address, method, path, body)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // Whether it had ended before is of no interest.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// One request on a connection of its own, in HTTP/1.0: no chunks in the answer.
fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status = head.split(' ').nth(1).context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}
