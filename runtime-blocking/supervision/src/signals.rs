//! Signals as this program needs them, whatever its parent has left it.
//!
//! Some supervisors ignore `SIGCHLD` or block signals, and whatever they start inherits that: the
//! exit status of a child is lost then, and a request to end is not heard. What this program starts
//! in turn is given the usual dispositions, because handlers do not outlive the start of a program.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGXFSZ};

/// To be called before anything is started, and before there is a second thread.
pub(crate) fn settle() {
    // Without that, it is as its parent wants it.
    let _ = SigSet::empty().thread_set_mask();
    // A limit to the size of files is the error of a write, not the end of the program.
    for signal in [SIGCHLD, SIGXFSZ] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}
