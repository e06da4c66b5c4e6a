//! What somebody who logs machines in and ends them says of what these were given.

use std::time::Duration;

/// What has become of what a machine has asked.
#[derive(Debug)]
pub(crate) enum MachineNotice {
    /// The relay has said that it is ended.
    Ended { device: String },
    /// The relay has done what it has asked, which it did before or after the relay had said that.
    Served { device: String, what: &'static str, was_ended: bool },
    /// It has become a trusted one, so long after it knew of its log-in.
    Trusted { device: String, after: Duration },
}
