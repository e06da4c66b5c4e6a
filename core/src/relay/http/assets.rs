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

/// Below this, and a version, all files are as well, under names that never change what they stand for.
const VERSIONED: &str = "/a/";
/// Stands for the version in the first file and in the service worker, which name the others.
const PLACEHOLDER: &str = "a/VERSION/";
/// The files in which it does, which are never kept without asking.
const NAMING: [&str; 2] = ["/", "/sw.js"];

/// The files: anyone may ask for them, so what can be worked out only once is.
pub(in crate::relay) struct Page {
    files: Vec<File>,
    /// Changes with any of the files.
    version: String,
}

struct File {
    asset: Asset,
    body: Bytes,
    /// The same, compressed, if that is worth anything.
    gzip: Option<Bytes>,
    etag: String,
}

impl Page {
    pub(in crate::relay) fn new(assets: &[Asset]) -> Self {
        let mut all = Sha256::new();
        for asset in assets {
            all.update(asset.path);
            all.update(asset.bytes);
        }
        let version = hex(&all.finalize());
        let file = |asset: &Asset| {
            let gzip = Some(asset.gzip).filter(|gzip| !gzip.is_empty()).map(Bytes::from_static);
            let (body, gzip) = match core::str::from_utf8(asset.bytes) {
                // What is written into them is not in what was compressed.
                Ok(text) if NAMING.contains(&asset.path) => {
                    (Bytes::from(text.replace(PLACEHOLDER, &format!("a/{version}/"))), None)
                }
                _ => (Bytes::from_static(asset.bytes), gzip),
            };
            let etag = hex(&Sha256::digest(&body));
            File { asset: *asset, body, gzip, etag }
        };
        Self { files: assets.iter().map(file).collect(), version }
    }

    /// A file, and whether its name is for this content alone.
    fn find(&self, path: &str) -> Option<(&File, bool)> {
        let version =
            path.strip_prefix(VERSIONED).and_then(|rest| rest.strip_prefix(&*self.version));
        let name = version.filter(|name| !NAMING.contains(name)).unwrap_or(path);
        let file = self.files.iter().find(|file| file.asset.path == name)?;
        Some((file, name.len() != path.len()))
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(in crate::relay) fn serve(
    page: &Page,
    request: &IncomingRequest,
    path: &str,
    is_pinned: bool,
) -> Result<Response, ApiError> {
    let (File { asset, body, gzip, etag }, is_immutable) = page
        .find(path)
        .ok_or_else(|| ApiError::new(404, ErrorType::NotFound, "there is no such file here"))?;
    let keeping = if is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.header("if-none-match").unwrap_or_default();
    let accepted = request.header("accept-encoding").unwrap_or_default();
    let gzip = gzip.as_ref().filter(|_| accepts_gzip(accepted));
    // Two representations, so two tags (RFC 9110, 8.8.3.3).
    let etag = format!("\"{etag}{}\"", if gzip.is_some() { "-gzip" } else { "" });
    let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut headers = owned(&[
        ("cache-control", keeping),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS_POLICY),
        ("content-type", asset.content_type),
    ]);
    headers.push(("etag".to_owned(), etag));
    if !asset.gzip.is_empty() {
        headers.extend(owned(&[("vary", "accept-encoding")]));
    }
    if gzip.is_some() {
        headers.extend(owned(&[("content-encoding", "gzip")]));
    }
    if is_pinned {
        headers.extend(owned(&[("strict-transport-security", "max-age=31536000")]));
    }
    let (status, body) =
        if is_known { (304, Bytes::new()) } else { (200, gzip.unwrap_or(body).clone()) };
    Ok(Response { status, headers, body })
}

/// Whether a host is a name that nothing but this relay is likely to have. A browser that was told to use
/// TLS for `localhost`, or for a machine's short name, would do so for every other server on it.
pub(in crate::relay) fn is_its_own(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
    let Some((_, last)) = name.rsplit_once('.') else { return false };
    let is_local = ["local", "localhost", "internal", "lan", "home", "arpa", "test"]
        .iter()
        .any(|local| last.eq_ignore_ascii_case(local));
    // The last label of an address is a number, or it ends in a bracket.
    !is_local
        && !last.is_empty()
        && last.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a client takes what gzip has compressed (RFC 9110, 12.5.3).
fn accepts_gzip(accepted: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|one| {
            let (coding, parameters) = one.split_once(';').unwrap_or((one, ""));
            let is_it = coding.trim().eq_ignore_ascii_case(wanted);
            let q = parameters.split(';').find_map(|one| one.trim().strip_prefix("q="));
            let is_none = q.is_some_and(|q| q.trim().bytes().all(|b| b == b'0' || b == b'.'));
            is_it.then_some(!is_none)
        })
    };
    weight("gzip").or_else(|| weight("*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSETS: [Asset; 2] = [
        Asset {
            path: "/",
            content_type: "text/html",
            bytes: b"<link href=\"a/VERSION/x.css\">",
            gzip: b"",
        },
        Asset { path: "/x.css", content_type: "text/css", bytes: b"a{}", gzip: b"" },
    ];

    #[test]
    fn only_a_name_of_the_relays_own_is_to_be_reached_by_tls_alone() {
        for own in ["relay.example", "relay.example:8443", "fb.example.org."] {
            assert!(is_its_own(own), "{own}");
        }
        let shared = ["localhost", "localhost:8787", "machine", "machine.local:1", "app.localhost"];
        for shared in shared.into_iter().chain(["127.0.0.1:8787", "[::1]:8787", "[fe80::1.2.3.4]"])
        {
            assert!(!is_its_own(shared), "{shared}");
        }
    }

    #[test]
    fn whoever_takes_gzip_says_so() {
        for (accepted, takes) in [
            ("gzip, deflate, br", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("identity, *;q=0", false),
            ("x-gzip-like", false),
        ] {
            assert_eq!(accepts_gzip(accepted), takes, "{accepted:?}");
        }
    }

    #[test]
    fn a_file_is_found_by_its_name_and_for_good_by_the_one_with_the_version() {
        let page = Page::new(&ASSETS);
        let named = core::str::from_utf8(&page.files[0].body).expect("text");
        let path = format!("/{}", &named["<link href=\"".len()..named.len() - 2]);
        assert_eq!(path, format!("/a/{}/x.css", page.version));
        let is_immutable = |path: &str| page.find(path).map(|(_, is_immutable)| is_immutable);
        assert_eq!(is_immutable(&path), Some(true));
        assert_eq!(is_immutable("/x.css"), Some(false));
        assert_eq!(is_immutable("/"), Some(false));
        for other in
            ["/a/0/x.css", "/a/x.css", "/a//x.css", &path.replace("x.css", ""), &format!("{path}/")]
        {
            assert_eq!(is_immutable(other), None, "{other}");
        }
        let changed = [ASSETS[0], Asset { bytes: b"b{}", ..ASSETS[1] }];
        assert_ne!(Page::new(&changed).version, page.version);
    }
}
