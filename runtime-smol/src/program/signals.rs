//! The signals that end the program.

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use footbridge_cli::exit::Error;

/// How urgently the program should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// The first signal: cleanly.
    Clean,
    /// Any later one: at once.
    ShutdownNow,
}

/// The signals received from now on.
pub(super) struct Ends {
    signals: Signals,
    urgency: Urgency,
}

impl Ends {
    /// From now on SIGINT, SIGTERM and SIGHUP no longer end the program by themselves.
    pub(super) fn listen() -> Result<Self, Error> {
        let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup])
            .map_err(|error| Error::local(format!("cannot listen for signals: {error}")))?;
        Ok(Self { signals, urgency: Urgency::Clean })
    }

    /// Passes on each signal, and never ends.
    pub(super) async fn forward<T>(mut self, mut each: impl FnMut(Urgency)) -> T {
        while let Some(signal) = self.signals.next().await {
            if signal.is_ok() {
                each(self.urgency);
                self.urgency = Urgency::ShutdownNow;
            }
        }
        std::future::pending().await
    }
}
