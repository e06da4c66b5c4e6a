//! The signals that end the program.

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use footbridge_cli::exit::Error;

/// How urgently the program should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// SIGUSR1: once its last session has ended. Only a worker is asked this; a relay says that it is none.
    Drain,
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
        Self::listen_for(&[Signal::Int, Signal::Term, Signal::Hup])
    }

    /// The same for a program with a worker, which can drain.
    pub(super) fn listen_with_drain() -> Result<Self, Error> {
        Self::listen_for(&[Signal::Int, Signal::Term, Signal::Hup, Signal::Usr1])
    }

    fn listen_for(signals: &[Signal]) -> Result<Self, Error> {
        let signals = Signals::new(signals)
            .map_err(|error| Error::local(format!("cannot listen for signals: {error}")))?;
        Ok(Self { signals, urgency: Urgency::Clean })
    }

    /// Passes on each signal, and never ends.
    pub(super) async fn forward<T>(mut self, mut each: impl FnMut(Urgency)) -> T {
        while let Some(signal) = self.signals.next().await {
            match signal {
                Ok(Signal::Usr1) => each(Urgency::Drain),
                Ok(_) => {
                    each(self.urgency);
                    self.urgency = Urgency::ShutdownNow;
                }
                Err(_) => {}
            }
        }
        std::future::pending().await
    }
}
