//! The page and its files (Y-3), which are built into the program.

use alloc::borrow::ToOwned;
use alloc::format;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::response::owned;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::config::Asset;
use crate::wire::error::ErrorType;

/// The page may run and reach only the relay's own files, and no other page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self'; \
     img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The page needs none of what a browser can give to one.
const PERMISSIONS_POLICY: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), \
     geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

pub(in crate::relay) fn serve(
    assets: &[Asset],
    request: &IncomingRequest,
    path: &str,
    is_secure: bool,
) -> Result<Response, ApiError> {
    let asset = assets.iter().find(|asset| asset.path == path);
    let asset = asset
        .ok_or_else(|| ApiError::new(404, ErrorType::NotFound, "there is no such file here"))?;
    let digest = Sha256::digest(asset.bytes);
    let etag: alloc::string::String =
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{etag}\"");
    let known = request.header("if-none-match").unwrap_or_default();
    let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut headers = owned(&[
        ("cache-control", "no-cache"),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS_POLICY),
        ("content-type", asset.content_type),
    ]);
    headers.push(("etag".to_owned(), etag));
    if is_secure {
        headers.extend(owned(&[("strict-transport-security", "max-age=31536000")]));
    }
    let (status, body) =
        if is_known { (304, Bytes::new()) } else { (200, Bytes::from_static(asset.bytes)) };
    Ok(Response { status, headers, body })
}
