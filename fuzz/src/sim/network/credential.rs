//! What a request shows.

/// The access token of a request.
pub(crate) fn bearer(headers: &[(String, String)]) -> Option<&str> {
    let (_, value) = headers.iter().find(|(name, _)| name == "authorization")?;
    value.strip_prefix("Bearer ")
}
