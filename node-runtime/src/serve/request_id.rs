//! The name of a request in logs and in responses of the runtime's own.

use std::sync::OnceLock;

use http::Request;

/// Header that carries it.
pub(crate) const HEADER: &str = "x-request-id";
const LONGEST: usize = 128;

/// What the client called the request, or a name that is made when somebody asks for it.
#[derive(Default)]
pub struct RequestId(OnceLock<Box<str>>);

impl RequestId {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let given = request
            .headers()
            .get(HEADER)
            .and_then(|value| value.to_str().ok());
        match given.filter(|id| (1..=LONGEST).contains(&id.len())) {
            Some(id) => Self(OnceLock::from(Box::from(id))),
            None => Self::default(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0
            .get_or_init(|| uuid::Uuid::new_v4().simple().to_string().into())
    }
}
