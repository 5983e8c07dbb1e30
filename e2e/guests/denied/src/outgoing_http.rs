use guest_http::wasip2::http::outgoing_handler;
use guest_http::wasip2::http::types::{ErrorCode, Fields, OutgoingRequest, Scheme};

/// A GET, until the status of the response or the error.
pub fn get(host: &str, port: u16) -> String {
    let request = OutgoingRequest::new(Fields::new());
    let named = request
        .set_authority(Some(&format!("{host}:{port}")))
        .is_ok()
        && request.set_scheme(Some(&Scheme::Http)).is_ok()
        && request.set_path_with_query(Some("/")).is_ok();
    if !named {
        return "the host refused the address".to_owned();
    }
    crate::outcome(send(request))
}

fn send(request: OutgoingRequest) -> Result<(), ErrorCode> {
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(response)) => response.map(|_| ()),
        _ => Err(ErrorCode::InternalError(None)),
    }
}
