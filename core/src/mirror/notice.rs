//! What a mirror tells its program.

use alloc::string::String;

/// What a mirror tells its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorNotice {
    /// It continues after this event, and has removed so many bytes from the file's end that were not
    /// written whole.
    Started {
        /// The last event in the file; 0 if it is new.
        seq: u64,
        /// How many bytes were cut off.
        cut: u64,
    },
    /// The file has everything up to this event, on disk.
    Written {
        /// The last event in the file.
        seq: u64,
        /// The file's length in bytes.
        bytes: u64,
    },
    /// The relay no longer keeps some events that the file does not have. A line says so.
    Gap {
        /// The last event before them.
        after: u64,
        /// The last of them.
        resumes_after: u64,
    },
    /// The relay cannot be asked. It is tried again until it can; this is said once.
    RelayFailing {
        /// Why.
        reason: String,
    },
    /// It can be asked again.
    RelayBack,
    /// The file cannot be written. It is tried again until it can; this is said once.
    DiskFailing {
        /// Why.
        reason: String,
    },
    /// It can be written again.
    DiskBack,
    /// The session has ended, and its whole log is in the file.
    Ended {
        /// The last event.
        seq: u64,
    },
}
