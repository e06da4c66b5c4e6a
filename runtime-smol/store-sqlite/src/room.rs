//! How much room a disk has, and how much of it is kept back.

use std::path::Path;

/// Bytes of a disk that are kept for what makes room on it: deleting writes, too, and the more the
/// larger what it deletes is. At least so many, at the most so many, and between them a part of it.
const RESERVE: (u64, u64) = (4 << 20, 64 << 20);
const PART_IN_RESERVE: u64 = 16;

/// Bytes that a disk has left, and in all; of one that cannot say, more than enough.
fn disk(path: &Path) -> (u64, u64) {
    rustix::fs::statvfs(path).map_or((u64::MAX, u64::MAX), |disk| {
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        (bytes(disk.f_bavail), bytes(disk.f_blocks))
    })
}

/// Bytes that are left on the disk of a file.
pub(crate) fn left(path: &Path) -> u64 {
    disk(path).0
}

/// What is kept back, in bytes, if less than that is left.
pub(crate) fn lacks(path: &Path) -> Option<u64> {
    let (left, all) = disk(path);
    let reserve = (all / PART_IN_RESERVE).clamp(RESERVE.0, RESERVE.1);
    (left < reserve).then_some(reserve)
}
