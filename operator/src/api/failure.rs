//! Refusals, as Kubernetes' clients read them: `metav1.Status`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::header};
use serde_json::json;
use tonic::{Code, Status};

use crate::api_error::in_words;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: StatusCode,
    /// A `metav1.StatusReason`.
    reason: &'static str,
    /// What is wrong and what to do.
    pub(super) message: String,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            reason,
            message,
        }
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(code, "ServiceUnavailable", message)
    }

    pub(super) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
    }

    /// What the store pod answered. What it did not write itself may name addresses.
    pub(super) fn of_store_pod(status: &Status) -> Self {
        let message = status.message();
        match status.code() {
            Code::NotFound => Self::not_found(message),
            Code::InvalidArgument => Self::bad_request(message),
            Code::ResourceExhausted => Self::invalid(message),
            Code::FailedPrecondition => Self::conflict(message),
            Code::Unavailable if is_its_own(status) => Self::unavailable(message),
            code => {
                tracing::warn!(%code, message, "the store pod does not answer");
                Self::unavailable("the store pod cannot be reached now; try again")
            }
        }
    }

    /// What the API server answered.
    pub(super) fn of_kube(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let message = status.message.clone();
                match status.code {
                    403 => Self::forbidden(message),
                    404 => Self::not_found(message),
                    409 => Self::conflict(message),
                    400..500 => Self::invalid(message),
                    _ => Self::unavailable(message),
                }
            }
            error => {
                let words = in_words(error);
                tracing::warn!(words, "a request to the API server failed");
                Self::unavailable(format!("{words}; try again"))
            }
        }
    }

    /// The same, with what was done before.
    pub(super) fn after(mut self, done: &str) -> Self {
        self.message = format!("{} ({done})", self.message);
        self
    }
}

/// Whether the store pod wrote the message, as opposed to whatever lies before it.
fn is_its_own(status: &Status) -> bool {
    status.metadata().contains_key(shoal_protocol::OWN_MESSAGE)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        let mut response = (self.code, Json(status)).into_response();
        if self.code == StatusCode::TOO_MANY_REQUESTS {
            let seconds = header::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
