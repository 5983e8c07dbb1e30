//! Lines of a request's body as they come.

use axum::body::{Body, BodyDataStream, Bytes};
use futures::StreamExt as _;
use shoal_crds::Line;

use super::failure::Failure;

/// Longest line: a value of 8 MiB in base64, its key, and what is around them.
const LINE_BYTES: usize = 12 * 1024 * 1024;

/// See the module.
pub(super) struct Lines {
    body: BodyDataStream,
    /// What was read and not taken.
    read: Vec<u8>,
    /// Of this many bytes it is known that no line ends in them.
    searched: usize,
    /// Lines that were taken.
    number: u64,
}

impl Lines {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            read: Vec::new(),
            searched: 0,
            number: 0,
        }
    }

    /// The next line; `None`: there is no more. Empty lines do not count.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        while let Some(text) = self.text().await? {
            self.number += 1;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = Line::read(&text);
            let number = self.number;
            return line
                .map(Some)
                .map_err(|error| Failure::bad_request(format!("line {number}: {error}")));
        }
        Ok(None)
    }

    async fn text(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let unsearched = self.read.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.read, rest)));
            }
            self.searched = self.read.len();
            if self.searched > LINE_BYTES {
                let number = self.number + 1;
                return Err(Failure::bad_request(format!(
                    "line {number} is longer than {LINE_BYTES} bytes"
                )));
            }
            match self.chunk().await? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None if self.read.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(std::mem::take(&mut self.read)));
                }
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.body.next().await.transpose();
        chunk.map_err(|error| Failure::bad_request(format!("the request was cut: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    async fn read(chunks: Vec<Vec<u8>>) -> Result<Vec<Line>, Failure> {
        let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
        let mut lines = Lines::of(Body::from_stream(stream::iter(chunks)));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await? {
            found.push(line);
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            entries in prop::collection::vec((".{0,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            cut in 1_usize..50,
        ) {
            let mut text = Vec::new();
            let mut expected = Vec::new();
            for (key, value) in entries {
                expected.push(Line::Entry(key, value));
            }
            expected.push(Line::End { keys: 7, next: None });
            for line in &expected {
                line.clone().write(&mut text).unwrap();
            }
            // The last line feed may be missing.
            text.pop();
            let chunks = text.chunks(cut).map(<[u8]>::to_vec).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(read(chunks)).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_bad_line_is_named() {
        let text = b"\n{\"key\":\"a\",\"value\":\"\"}\nnonsense\n".to_vec();
        let failure = read(vec![text]).await.unwrap_err();
        assert!(failure.message.starts_with("line 3:"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let endless = vec![vec![b' '; 1024 * 1024]; 14];
        let failure = read(endless).await.unwrap_err();
        assert!(failure.message.contains("line 1"), "{failure:?}");
    }
}
