//! `shoal stores export`: the entries of a Store as JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::AsyncBufReadExt as _;
use http::Method;
use shoal_crds::Line;
use tokio::time::sleep;

use super::api::{explained, may_pass, request};
use super::or_default;
use crate::cluster::Cluster;

/// An answer that broke off is asked for again from where it did, so often without getting any further.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Write the keys and values of a Store as JSON lines: `{"key":"...","value":"<base64>"}`, and at the end
/// `{"keys":N}`, by which a text that was cut is known.
///
/// What is written meanwhile may be in it or not: suspend the Apps that use the Store for a copy of one moment.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Name of the Store.
    name: String,
    /// Its namespace (default: the context's).
    #[arg(short, long)]
    namespace: Option<String>,
    /// File to write, readable by you alone (default: standard output).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let namespace = or_default(self.namespace.as_ref(), cluster);
        let path = ["namespaces", &namespace, "stores", &self.name, "export"];
        let keys = match &self.output {
            None => Export::new(std::io::stdout()).all(cluster, &path).await?,
            Some(file) => to_file(file, cluster, &path).await?,
        };
        eprintln!("{keys} keys exported.");
        Ok(())
    }
}

/// The file gets its name when it is whole.
async fn to_file(file: &Path, cluster: &Cluster, path: &[&str]) -> Result<u64> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let opened = open(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let mut export = Export::new(BufWriter::new(opened));
    let keys = export.all(cluster, path).await?;
    let written = export.out.into_inner().map_err(|error| error.into_error());
    written
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&part, file))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(keys)
}

fn open(path: &Path) -> std::io::Result<File> {
    // Whoever may read a Store's data is not for the machine to decide.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// An export under way, made of as many answers as it takes.
struct Export<W> {
    out: W,
    keys: u64,
    /// The last key that was written.
    after: String,
}

/// How an answer ended.
enum End {
    /// The Store has no more keys.
    Whole,
    /// It goes on after this key.
    More(String),
}

impl<W: Write> Export<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            keys: 0,
            after: String::new(),
        }
    }

    async fn all(&mut self, cluster: &Cluster, path: &[&str]) -> Result<u64> {
        let mut tries = 0;
        loop {
            let before = self.keys;
            match self.once(cluster, path).await? {
                Ok(End::Whole) => break,
                Ok(End::More(next)) => {
                    self.after = next;
                    tries = 0;
                }
                Err(problem) => {
                    tries = if self.keys > before { 1 } else { tries + 1 };
                    if tries >= TRIES {
                        bail!("{problem} (after {} keys)", self.keys);
                    }
                    sleep(PAUSE * tries).await;
                }
            }
        }
        let end = Line::End {
            keys: self.keys,
            next: None,
        };
        self.write(end)?;
        self.out.flush().context("cannot write the export")?;
        Ok(self.keys)
    }

    /// One answer. The inner error is worth another try.
    async fn once(&mut self, cluster: &Cluster, path: &[&str]) -> Result<Result<End, String>> {
        let query = [("after", self.after.as_str())];
        let query = if self.after.is_empty() {
            &[][..]
        } else {
            &query
        };
        let request = request(Method::GET, path, query, Vec::new())?;
        let mut answer = match cluster.client.request_stream(request).await {
            Ok(answer) => answer,
            Err(error) if may_pass(&error) => {
                return Ok(Err(explained(cluster, error).to_string()));
            }
            Err(error) => return Err(explained(cluster, error)),
        };
        let (mut text, mut read) = (Vec::new(), 0);
        loop {
            text.clear();
            if let Err(error) = answer.read_until(b'\n', &mut text).await {
                return Ok(Err(format!("the answer broke off: {error}")));
            }
            if text.last() != Some(&b'\n') {
                return Ok(Err("the answer broke off".to_owned()));
            }
            match Line::read(&text).context("the server sent what is no line of an export")? {
                Line::Entry(key, value) => {
                    read += 1;
                    self.keys += 1;
                    self.after.clone_from(&key);
                    self.write(Line::Entry(key, value))?;
                }
                Line::End { keys, .. } if keys != read => {
                    bail!("the server says that it sent {keys} keys, and {read} came");
                }
                Line::End { next, .. } => return Ok(Ok(next.map_or(End::Whole, End::More))),
            }
        }
    }

    fn write(&mut self, line: Line) -> Result<()> {
        let mut text = Vec::new();
        line.write(&mut text)?;
        self.out.write_all(&text).context("cannot write the export")
    }
}
