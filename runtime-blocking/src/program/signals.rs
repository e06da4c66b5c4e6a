//! The signals that end the program.

use std::thread::Builder;

use footbridge_cli::exit::Error;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// Enough for a loop that passes on commands.
const STACK_BYTES: usize = 64 << 10;

/// From now on SIGINT, SIGTERM and SIGHUP no longer end the program by themselves: the first one
/// asks it to end cleanly, and each later one to end at once. SIGUSR1 asks it to drain, if it can.
pub(super) fn forward<C: Copy + Send + 'static>(
    drain: Option<C>,
    clean: C,
    hurry: C,
    hand_on: impl Fn(C) + Send + 'static,
) -> Result<(), Error> {
    let cannot = |error| Error::local(format!("cannot listen for signals: {error}"));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(cannot)?;
    if drain.is_some() {
        signals.add_signal(SIGUSR1).map_err(cannot)?;
    }
    let work = move || {
        let mut command = clean;
        for signal in signals.forever() {
            hand_on(match drain {
                Some(drain) if signal == SIGUSR1 => drain,
                _ => std::mem::replace(&mut command, hurry),
            });
        }
    };
    let thread = Builder::new().name("signals".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map(drop).map_err(cannot)
}
