//! What people are told of a request to the API server that failed.

/// The error in words. One of decoding is not quoted: it may hold what it could not decode, and that may be a Secret.
pub(crate) fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the API server says: {}", status.message),
        kube::Error::SerdeError(_) => "the API server's answer is no such object".into(),
        _ => "the API server cannot be reached".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_not_quoted() {
        let error = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        assert!(error.to_string().contains("hunter2"));
        let words = in_words(&kube::Error::SerdeError(error));
        assert!(!words.contains("hunter2"), "{words}");
    }
}
