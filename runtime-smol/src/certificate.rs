//! The certificate of a server, and what there is to say of it.

use std::path::PathBuf;
use std::time::Duration;

/// A server's certificate. Files that are replaced are taken up without cutting connections.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM file of the chain, the server's own certificate first.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// What became of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateNotice {
    /// Its files were replaced: connections from now on are served the new one.
    TakenUp,
    /// Its files were replaced by some that cannot be used: the old one is served on.
    NotTakenUp {
        /// Which file is at fault, and why.
        detail: String,
    },
    /// Clients will refuse it after this time, unless it is replaced.
    EndsWithin {
        /// How long it is valid yet.
        left: Duration,
    },
    /// Clients refuse it.
    Ended,
}

/// Who is told of it.
pub type CertificateReport = Box<dyn Fn(&CertificateNotice) + Send + Sync>;
