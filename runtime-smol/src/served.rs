//! The certificate that listeners present, as its files are now (Y-1).
//!
//! Certificates are renewed by other programs, which replace the files. They are looked at when
//! somebody connects: that costs nothing while nobody does, and takes no timer. Connections that are there
//! already go on.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use footbridge_core::contract::event::{IoError, IoErrorKind};
use futures_rustls::pki_types::pem::{self, PemObject};
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use futures_rustls::rustls::sign::CertifiedKey;

use crate::certificate::{Certificate, CertificateNotice, CertificateReport};
use crate::failure::{about, failure};

/// The files are looked at as often as this at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long before its end a certificate is warned of: programs that renew them do so earlier.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How often it is warned of.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What handshakes take the certificate from.
pub(crate) struct Served {
    files: Certificate,
    report: Option<CertificateReport>,
    now: Mutex<Now>,
}

struct Now {
    certified: Arc<CertifiedKey>,
    ends: Option<SystemTime>,
    looked: Instant,
    /// The files that were dealt with last.
    seen: Stamps,
    /// Files that could not be used: one of the two may still be to come.
    doubted: Option<Stamps>,
    warned: Option<Instant>,
}

/// What changes when a file is replaced: device, inode, length, and the times of its content and of itself.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));
type Stamps = [Option<Stamp>; 2];

impl Served {
    pub(crate) fn new(
        files: Certificate,
        report: Option<CertificateReport>,
    ) -> Result<Self, IoError> {
        // Before they are read: a change meanwhile is seen later.
        let seen = stamps(&files);
        let (certified, ends) = read(&files)?;
        let mut now =
            Now { certified, ends, looked: Instant::now(), seen, doubted: None, warned: None };
        warn(&mut now, report.as_ref());
        Ok(Self { files, report, now: Mutex::new(now) })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK_EVERY {
            self.look(&mut now);
        }
        Arc::clone(&now.certified)
    }

    fn look(&self, now: &mut MutexGuard<'_, Now>) {
        now.looked = Instant::now();
        let stamps = stamps(&self.files);
        if stamps != now.seen {
            match read(&self.files) {
                Ok((certified, ends)) => {
                    (now.certified, now.ends) = (certified, ends);
                    (now.seen, now.doubted, now.warned) = (stamps, None, None);
                    self.tell(&CertificateNotice::TakenUp);
                }
                Err(error) if now.doubted == Some(stamps) => {
                    (now.seen, now.doubted) = (stamps, None);
                    self.tell(&CertificateNotice::NotTakenUp { detail: error.detail });
                }
                Err(_) => now.doubted = Some(stamps),
            }
        }
        warn(now, self.report.as_ref());
    }

    fn tell(&self, notice: &CertificateNotice) {
        if let Some(report) = &self.report {
            report(notice);
        }
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Says that it ends soon, or has ended, unless that was said lately.
fn warn(now: &mut Now, report: Option<&CertificateReport>) {
    let (Some(ends), Some(report)) = (now.ends, report) else { return };
    let left = ends.duration_since(SystemTime::now()).ok();
    if left.is_some_and(|left| left > WARN_BEFORE)
        || now.warned.is_some_and(|warned| warned.elapsed() < WARN_EVERY)
    {
        return;
    }
    now.warned = Some(Instant::now());
    report(&left.map_or(CertificateNotice::Ended, |left| CertificateNotice::EndsWithin { left }));
}

fn stamps(files: &Certificate) -> Stamps {
    [&files.chain, &files.key].map(|path| {
        let of = fs::metadata(path).ok()?;
        let (changed, touched) = ((of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec()));
        Some((of.dev(), of.ino(), of.len(), changed, touched))
    })
}

fn read(files: &Certificate) -> Result<(Arc<CertifiedKey>, Option<SystemTime>), IoError> {
    let chain = certificates(&files.chain)?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unreadable(&files.key, &error))?;
    let ends = chain.first().and_then(end);
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
    Ok((Arc::new(certified.map_err(|error| unusable(&files.chain, error))?), ends))
}

/// When a certificate ends. The library says so of one that has ended, as every one has some time.
fn end(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let own = webpki::EndEntityCert::try_from(certificate).ok()?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let usage = webpki::KeyUsage::server_auth();
    match own.verify_for_usage(&[], &[], &[], at, usage, None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}

const NO_CERTIFICATE: &str = "it contains no certificate";

/// Looks at the first certificate of a chain, which is the server's own.
pub(crate) fn with_own<T>(
    chain: &Path,
    look: impl FnOnce(&webpki::EndEntityCert<'_>) -> T,
) -> Result<T, IoError> {
    let certificates = certificates(chain)?;
    let own = certificates.first().ok_or_else(|| unusable(chain, NO_CERTIFICATE))?;
    let own = webpki::EndEntityCert::try_from(own).map_err(|error| unusable(chain, error))?;
    Ok(look(&own))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IoError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| unreadable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, NO_CERTIFICATE));
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &pem::Error) -> IoError {
    match error {
        pem::Error::Io(error) => about(path.display(), error),
        other => unusable(path, other),
    }
}

/// What is wrong with a file of certificates.
pub(crate) fn unusable(path: &Path, why: impl fmt::Display) -> IoError {
    failure(IoErrorKind::Tls, format_args!("{}: {why}", path.display()))
}
