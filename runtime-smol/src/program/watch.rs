//! Waits until something in a directory has changed.

use std::path::Path;
use std::time::Duration;

use smol::Timer;
#[cfg(target_os = "linux")]
use smol::future::FutureExt as _;

/// How long those take who write more than one file.
const SETTLES: Duration = Duration::from_millis(50);

/// What has happened in a directory since this was made.
pub(super) struct Watch {
    #[cfg(target_os = "linux")]
    kernel: Option<async_io::Async<std::os::fd::OwnedFd>>,
}

impl Watch {
    /// From now on; where the directory is missing, whether it is made in its parent.
    #[cfg(target_os = "linux")]
    pub(super) fn begin(directory: &Path) -> Self {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

        let made = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let changed = made
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let kernel = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok().and_then(|kernel| {
            if add_watch(&kernel, directory, changed).is_err() {
                add_watch(&kernel, directory.parent()?, made).ok()?;
                // Made between the two.
                if directory.exists() {
                    add_watch(&kernel, directory, changed).ok()?;
                }
            }
            async_io::Async::new(kernel).ok()
        });
        Self { kernel }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn begin(_directory: &Path) -> Self {
        Self {}
    }

    /// Waits for a change; for `with_kernel` at most where the kernel tells of changes, which on the
    /// file system of another machine it does not, and for `without` elsewhere.
    pub(super) async fn changed(self, with_kernel: Duration, without: Duration) {
        #[cfg(target_os = "linux")]
        if let Some(kernel) = &self.kernel {
            let is_told = async {
                let _ = kernel.readable().await;
                true
            };
            let is_late = async {
                Timer::after(with_kernel).await;
                false
            };
            if is_told.or(is_late).await {
                Timer::after(SETTLES).await;
            }
            return;
        }
        Timer::after(without).await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_written_made_removed_or_shown_to_others_is_told() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("users");
        let file = directory.join("anna");
        let permissions = || std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let changes: [&dyn Fn() -> std::io::Result<()>; 5] = [
            &|| std::fs::create_dir(&directory),
            &|| std::fs::write(&file, "a token"),
            &|| std::fs::set_permissions(&file, permissions()),
            &|| std::fs::remove_file(&file),
            &|| std::fs::remove_dir(&directory),
        ];
        for change in changes {
            let watch = Watch::begin(&directory);
            change().expect("a change");
            smol::block_on(watch.changed(NEVER, NEVER));
        }
    }

    #[test]
    fn nothing_is_told_where_nothing_happens() {
        let home = tempfile::tempdir().expect("a directory");
        let watch = Watch::begin(home.path());
        let kernel = watch.kernel.expect("a kernel that tells");
        assert!(smol::block_on(smol::future::poll_once(kernel.readable())).is_none());
    }
}
