//! `shoal stores import`: JSON lines into a Store.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http::Method;
use shoal_crds::{Imported, Line};
use tokio::time::sleep;

use super::api::{explained, may_pass, request};
use super::or_default;
use crate::cluster::Cluster;

/// A request ends with the line that makes it larger than this, in bytes: the API server gives a request a minute.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// A request that may do better later is sent so often.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);

/// Write keys and values into a Store, from the JSON lines that `export` writes.
///
/// The limits of the Store's class hold. Done again with `--overwrite`, it writes the same again.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Name of the Store.
    name: String,
    /// Its namespace (default: the context's).
    #[arg(short, long)]
    namespace: Option<String>,
    /// File to read (default: standard input).
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also where the Store holds keys: those in the file get its values, others stay.
    #[arg(long)]
    overwrite: bool,
}

impl Arguments {
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<()> {
        let namespace = or_default(self.namespace.as_ref(), cluster);
        let path = ["namespaces", &namespace, "stores", &self.name, "import"];
        let import = Import {
            cluster,
            path: &path,
        };
        let input: Box<dyn BufRead> = match &self.file {
            Some(file) => {
                let opened = File::open(file);
                let opened = opened.with_context(|| format!("cannot read {}", file.display()))?;
                Box::new(BufReader::new(opened))
            }
            None => {
                let stdin = std::io::stdin();
                ensure!(
                    !stdin.is_terminal(),
                    "there is nothing to read: use -f FILE"
                );
                Box::new(stdin.lock())
            }
        };
        if !self.overwrite {
            import.send(Vec::new(), 0, false).await?;
        }
        let mut parts = Parts::of(input);
        loop {
            let part = parts.next();
            let sent = match part {
                Ok(None) => break,
                Ok(Some(Part { text, keys })) => import.send(text, keys, true).await,
                Err(error) => Err(error),
            };
            sent.with_context(|| format!("{} keys were imported", parts.done))?;
            parts.done = parts.read;
        }
        eprintln!("{} keys imported.", parts.done);
        Ok(())
    }
}

struct Import<'a> {
    cluster: &'a Cluster,
    path: &'a [&'a str],
}

impl Import<'_> {
    /// Sends lines that lack the last one. What was sent is sent again where that may help: it is the same.
    async fn send(&self, mut text: Vec<u8>, keys: u64, overwrite: bool) -> Result<()> {
        Line::End { keys, next: None }.write(&mut text)?;
        let overwrite = if overwrite { "true" } else { "false" };
        let mut tries = 1;
        loop {
            let query = [("overwrite", overwrite)];
            let sent = request(Method::POST, self.path, &query, text.clone())?;
            match self.cluster.client.request::<Imported>(sent).await {
                Ok(Imported { keys: written }) => {
                    ensure!(
                        written == keys,
                        "the server says that it wrote {written} of {keys} keys"
                    );
                    return Ok(());
                }
                Err(error) if tries < TRIES && may_pass(&error) => sleep(PAUSE * tries).await,
                Err(error) => return Err(explained(self.cluster, error)),
            }
            tries += 1;
        }
    }
}

/// The lines of an export in parts of a bounded size.
struct Parts<R> {
    input: R,
    lines: u64,
    /// Entries that were read.
    read: u64,
    /// Entries that were sent.
    done: u64,
    ended: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Part {
    text: Vec<u8>,
    keys: u64,
}

impl<R: BufRead> Parts<R> {
    fn of(input: R) -> Self {
        Self {
            input,
            lines: 0,
            read: 0,
            done: 0,
            ended: false,
        }
    }

    /// The next part; `None`: the text is whole and came to its end.
    fn next(&mut self) -> Result<Option<Part>> {
        let mut part = Part {
            text: Vec::new(),
            keys: 0,
        };
        while !self.ended && part.text.len() < REQUEST_BYTES {
            let begin = part.text.len();
            let read = self.input.read_until(b'\n', &mut part.text);
            read.context("cannot read the export")?;
            self.lines += 1;
            let line = part.text.get(begin..).unwrap_or_default();
            ensure!(
                !line.is_empty(),
                "the export was cut: it ends after {} keys, without the line that says how many they are",
                self.read
            );
            if line.iter().all(u8::is_ascii_whitespace) {
                part.text.truncate(begin);
                continue;
            }
            let line = Line::read(line).with_context(|| format!("line {}", self.lines))?;
            match line {
                Line::Entry(..) => {
                    self.read += 1;
                    part.keys += 1;
                    if part.text.last() != Some(&b'\n') {
                        part.text.push(b'\n');
                    }
                }
                Line::End { keys, next } => {
                    part.text.truncate(begin);
                    self.end(keys, next)?;
                }
            }
        }
        Ok((part.keys > 0).then_some(part))
    }

    fn end(&mut self, keys: u64, next: Option<String>) -> Result<()> {
        self.ended = true;
        let read = self.read;
        ensure!(
            keys == read,
            "the export is not whole: its last line says {keys} keys, and there were {read}"
        );
        if let Some(next) = next {
            bail!("this is a part of an export: what follows after the key {next:?} is missing");
        }
        let mut rest = [0; 1];
        let more = std::io::Read::read(&mut self.input, &mut rest);
        ensure!(
            more.context("cannot read the export")? == 0,
            "something follows after the line that says how many keys there are"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<Part>> {
        let mut parts = Parts::of(text.as_bytes());
        let mut found = Vec::new();
        while let Some(part) = parts.next()? {
            found.push(part);
        }
        Ok(found)
    }

    #[test]
    fn a_whole_export_is_sent_without_its_last_line() {
        let entries = "{\"key\":\"a\",\"value\":\"\"}\n\n{\"key\":\"b\",\"value\":\"YQ==\"}\n";
        let found = parts(&format!("{entries}{{\"keys\":2}}\n")).unwrap();
        let expected = Part {
            text: entries.replace("\n\n", "\n").into_bytes(),
            keys: 2,
        };
        assert_eq!(found, [expected]);
        assert_eq!(parts("{\"keys\":0}").unwrap(), []);
    }

    #[test]
    fn a_large_export_is_sent_in_parts() {
        let value = "A".repeat(1024 * 1024);
        let mut text = String::new();
        for number in 0..20 {
            text.push_str(&format!("{{\"key\":\"{number}\",\"value\":\"{value}\"}}\n"));
        }
        let found = parts(&format!("{text}{{\"keys\":20}}\n")).unwrap();
        assert!(found.len() > 1);
        assert_eq!(found.iter().map(|part| part.keys).sum::<u64>(), 20);
        assert_eq!(
            found.iter().map(|part| part.text.len()).sum::<usize>(),
            text.len()
        );
    }

    #[test]
    fn what_is_not_whole_is_refused_and_says_why() {
        let entry = "{\"key\":\"a\",\"value\":\"\"}\n";
        for (text, why) in [
            (entry.to_owned(), "was cut"),
            (String::new(), "was cut"),
            (format!("{entry}{{\"keys\":2}}\n"), "says 2 keys"),
            (
                format!("{entry}{{\"keys\":1,\"next\":\"a\"}}\n"),
                "a part of",
            ),
            (format!("{entry}{{\"keys\":1}}\n{entry}"), "follows after"),
            (format!("{entry}nonsense\n"), "line 2"),
        ] {
            let error = format!("{:#}", parts(&text).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }
}
