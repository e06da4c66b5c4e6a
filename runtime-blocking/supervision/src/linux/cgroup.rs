//! Control groups, version 2, where this process may make some below its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Begins the names of those that this package makes.
const PREFIX: &str = "footbridge.";

/// A control group that this package has made.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// One below that of this process; `None` where the system does not let it.
    pub(super) fn create(name: &str) -> Option<Self> {
        let path = own()?.join(format!("{PREFIX}{name}"));
        let group = Self::at(path)?;
        // Without this file, a group cannot be killed as a whole (before Linux 5.14).
        group.path.join("cgroup.kill").exists().then_some(group)
    }

    /// One below this one.
    pub(super) fn below(&self, name: &str) -> Option<Self> {
        Self::at(self.path.join(name))
    }

    fn at(path: PathBuf) -> Option<Self> {
        match fs::create_dir(&path) {
            Ok(()) => Some(Self { path }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Some(Self { path }),
            Err(_) => None,
        }
    }

    /// One that another process has made.
    pub(super) const fn existing(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Kills all of its members at once, and those of the groups below it. Whether it could.
    pub(super) fn kill(&self) -> bool {
        self.is_populated() && fs::write(self.path.join("cgroup.kill"), "1").is_ok()
    }

    /// Removes it, if it is empty. One that is not stays, and the next run looks at it again.
    pub(super) fn remove(&self) {
        remove(&self.path);
    }

    /// Whether a process lives in it, or in a group below it.
    pub(super) fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }
}

fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}

/// Those that this package has made beside where this process would make its own, by the names that
/// they were given.
pub(super) fn siblings() -> Vec<(String, PathBuf)> {
    let entries = own().and_then(|own| fs::read_dir(own).ok()).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_prefix(PREFIX)?.to_owned();
        Some((name, entry.path()))
    });
    named.collect()
}

/// The directory of this process's own group.
fn own() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (root, mount) = mounts.lines().find_map(mount_of)?;
    let below = Path::new("/").join(group);
    let below = below.strip_prefix(root).ok()?;
    Some(Path::new(mount).join(below))
}

/// `24 1 0:22 /root /sys/fs/cgroup rw - cgroup2 cgroup2 rw`: the group that is mounted, and where.
fn mount_of(line: &str) -> Option<(&str, &str)> {
    let (fields, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = fields.split(' ').skip(3);
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_version_2_is_found() {
        let line = "35 25 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        assert_eq!(mount_of(line), Some(("/", "/sys/fs/cgroup/unified")));
        assert_eq!(mount_of("35 25 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mount_of(""), None);
    }
}
