use wasip2::http::types::{IncomingBody, IncomingRequest, Method};
use wasip2::io::streams::{InputStream, StreamError};

/// An incoming request with its path and query taken apart.
pub struct Request {
    raw: IncomingRequest,
    path: String,
    query: String,
}

impl Request {
    pub fn new(raw: IncomingRequest) -> Self {
        let target = raw.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self {
            path: path.to_owned(),
            query: query.to_owned(),
            raw,
        }
    }

    pub fn method(&self) -> String {
        match self.raw.method() {
            Method::Other(name) => name,
            known => crate::variant_name(&known).to_uppercase(),
        }
    }

    /// The path as it was sent, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn path_with_query(&self) -> String {
        self.raw.path_with_query().unwrap_or_default()
    }

    pub fn authority(&self) -> Option<String> {
        self.raw.authority()
    }

    /// The segments of the path, percent-decoded.
    pub fn segments(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(percent_decode).collect()
    }

    /// The first value of a query parameter, percent-decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| percent_decode(value))
    }

    pub fn headers(&self) -> Vec<(String, String)> {
        let headers = self.raw.headers().entries();
        let lossy = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        headers
            .into_iter()
            .map(|(name, value)| (name, lossy(value)))
            .collect()
    }

    /// The body, chunk by chunk as it arrives, to `each`; stops when `each` says `false`.
    pub fn stream(&self, mut each: impl FnMut(&[u8]) -> bool) -> Result<(), String> {
        let body = self
            .raw
            .consume()
            .map_err(|()| "the body was read before")?;
        let stream = body.stream().map_err(|()| "the body was read before")?;
        let result = read_to_end(&stream, &mut each);
        drop(stream);
        IncomingBody::finish(body);
        result
    }

    /// The whole body, unless it is longer than `limit` bytes.
    pub fn body(&self, limit: usize) -> Result<Vec<u8>, String> {
        let mut whole = Vec::new();
        self.stream(|chunk| {
            whole.extend_from_slice(chunk);
            whole.len() <= limit
        })?;
        if whole.len() > limit {
            return Err(format!("the body is longer than {limit} bytes"));
        }
        Ok(whole)
    }
}

fn read_to_end(stream: &InputStream, each: &mut impl FnMut(&[u8]) -> bool) -> Result<(), String> {
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => {
                if !chunk.is_empty() && !each(&chunk) {
                    return Ok(());
                }
            }
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
