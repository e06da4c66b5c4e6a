//! Where the relay on a data directory can be reached while it runs, for `footbridge sign-in`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name in the data directory.
const FILE: &str = "running.json";

/// Where a relay can be reached. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Whereabouts {
    /// From this machine.
    pub(super) url: String,
    /// By its page's visitors.
    pub(super) page: String,
    /// The file of the certificate that it presents, if it has TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<PathBuf>,
}

/// What a running relay has written down, until it ends.
pub(super) struct Noted(Option<PathBuf>);

impl Noted {
    /// For a relay that keeps its data in this directory, if anywhere.
    pub(super) fn new(directory: Option<&Path>) -> Self {
        Self(directory.map(|directory| directory.join(FILE)))
    }

    /// Writes it down. Where that is not possible, `sign-in` has to be told.
    pub(super) fn write(&self, whereabouts: &Whereabouts) {
        let Some(file) = &self.0 else { return };
        let new = file.with_extension("json.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = serde_json::to_vec(whereabouts)
            .map_err(io::Error::from)
            .and_then(|json| options.open(&new)?.write_all(&json))
            .and_then(|()| std::fs::rename(&new, file));
        if written.is_err() {
            self.remove();
        }
    }

    fn remove(&self) {
        // What cannot be removed is only an address at which there is no relay.
        let _ = self.0.as_ref().map(std::fs::remove_file);
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Where the relay on this data can be reached, if one is running or was killed.
pub(super) fn look_up(directory: &Path) -> Option<Whereabouts> {
    let json = std::fs::read(directory.join(FILE)).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_relay_has_written_down_is_there_until_it_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let noted = Noted::new(Some(directory.path()));
        assert_eq!(look_up(directory.path()), None);
        for certificate in [Some(PathBuf::from("/c.pem")), None] {
            let (url, page) = ("https://localhost:1".to_owned(), "https://relay".to_owned());
            let whereabouts = Whereabouts { url, page, certificate };
            noted.write(&whereabouts);
            assert_eq!(look_up(directory.path()), Some(whereabouts));
        }
        drop(noted);
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }
}
