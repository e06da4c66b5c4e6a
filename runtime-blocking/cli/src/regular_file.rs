//! Files that people have named. A pipe in the place of one would be waited for, and a link may lead
//! nowhere.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens at once, whatever it is.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Opens a regular file for reading. Only where there is nothing at all, the error is of the kind
/// [`ErrorKind::NotFound`]; a link that leads nowhere is there.
pub fn open(path: &Path) -> Result<File> {
    let file = match OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(dangling(path).unwrap_or(error));
        }
        other => other?,
    };
    // From the open file, so that it cannot be swapped in between.
    if !file.metadata()?.is_file() {
        return Err(Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// The text of a regular file, up to so many bytes.
pub fn read(path: &Path, most: u64) -> Result<String> {
    let mut text = String::new();
    open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// What is wrong with a link that leads nowhere, if this is one.
pub fn dangling(path: &Path) -> Option<Error> {
    let to = std::fs::read_link(path).ok()?;
    let is_nowhere = path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    is_nowhere.then(|| {
        let to = to.display();
        Error::other(format!("it is a link to {to}, where there is nothing: remove the link, or put back what it leads to"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_and_a_link_that_leads_nowhere_is_not_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::write(at("file"), "text").expect("written");
        let pipe = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(pipe.expect("mkfifo runs").success());
        std::os::unix::fs::symlink(at("file"), at("link")).expect("a link");
        std::os::unix::fs::symlink("gone", at("dangling")).expect("a link");
        assert_eq!(read(&at("file"), 3).expect("a file"), "tex");
        assert_eq!(read(&at("link"), 9).expect("a file"), "text");
        assert_eq!(open(&at("none")).expect_err("nothing").kind(), ErrorKind::NotFound);
        for (name, words) in
            [("pipe", "not a regular file"), (".", "not a regular file"), ("dangling", "to gone,")]
        {
            let error = open(&at(name)).expect_err(name);
            assert_ne!(error.kind(), ErrorKind::NotFound, "{name}");
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}
