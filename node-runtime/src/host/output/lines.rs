//! From bytes to lines.

/// Longest line, in bytes; a longer one is cut into several.
pub(super) const LINE_BYTES: usize = 16 << 10;

/// The line that is not whole yet.
#[derive(Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Gives each line that `bytes` completes to `each`, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let room = LINE_BYTES.saturating_sub(self.unfinished.len());
            let (part, rest) = bytes.split_at(bytes.len().min(room));
            match part.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.unfinished.extend(part.iter().take(end));
                    self.flush(&mut each);
                    bytes = bytes.get(end.saturating_add(1)..).unwrap_or_default();
                    continue;
                }
                None => self.unfinished.extend(part),
            }
            if self.unfinished.len() >= LINE_BYTES && !rest.starts_with(b"\n") {
                self.flush(&mut each);
            } else if let Some(after) = rest.strip_prefix(b"\n") {
                self.flush(&mut each);
                bytes = after;
                continue;
            }
            bytes = rest;
        }
    }

    /// Gives what is left as a line, if anything is.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.unfinished.is_empty() {
            self.flush(&mut each);
        }
    }

    fn flush(&mut self, each: &mut impl FnMut(&str)) {
        let line = self
            .unfinished
            .strip_suffix(b"\r")
            .unwrap_or(&self.unfinished);
        each(&String::from_utf8_lossy(line));
        self.unfinished.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for part in parts {
            lines.push(part, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_come_whole_however_they_were_written() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"\xffx\n"]), ["\u{fffd}x"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; LINE_BYTES * 2 + 1];
        let lengths: Vec<_> = lines(&[&long]).iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_BYTES, LINE_BYTES, 1]);
        let mut full = vec![b'x'; LINE_BYTES];
        full.push(b'\n');
        assert_eq!(lines(&[&full, b"y"]).len(), 2, "a full line is one line");
    }
}
