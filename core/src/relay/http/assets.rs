//! The page and its files (Y-3), which are built into the program.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

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

/// The files, each with its entity tag: anyone may ask for them, so that is worked out only once.
pub(in crate::relay) struct Page(Vec<(Asset, String)>);

impl Page {
    pub(in crate::relay) fn new(assets: &[Asset]) -> Self {
        let tagged = |asset: &Asset| {
            let digest = Sha256::digest(asset.bytes);
            let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            (*asset, format!("\"{hex}\""))
        };
        Self(assets.iter().map(tagged).collect())
    }
}

pub(in crate::relay) fn serve(
    page: &Page,
    request: &IncomingRequest,
    path: &str,
    is_secure: bool,
) -> Result<Response, ApiError> {
    let found = page.0.iter().find(|(asset, _)| asset.path == path);
    let (asset, etag) = found
        .ok_or_else(|| ApiError::new(404, ErrorType::NotFound, "there is no such file here"))?;
    let known = request.header("if-none-match").unwrap_or_default();
    let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == *etag);
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
    headers.push(("etag".to_owned(), etag.clone()));
    if is_secure {
        headers.extend(owned(&[("strict-transport-security", "max-age=31536000")]));
    }
    let (status, body) =
        if is_known { (304, Bytes::new()) } else { (200, Bytes::from_static(asset.bytes)) };
    Ok(Response { status, headers, body })
}
