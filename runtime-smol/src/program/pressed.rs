//! The signals at a program that a person sits in front of: Ctrl-C is for the agent first.

use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use footbridge_cli::exit::Error;
use smol::stream::StreamExt as _;

/// Two presses of Ctrl-C within this time leave.
const TWICE: Duration = Duration::from_secs(2);

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// Ctrl-C, once.
    Once,
    /// Ctrl-C twice, or to be ended.
    Leave,
}

/// The signals received from now on.
pub(super) struct Presses(Signals);

impl Presses {
    /// From now on SIGINT, SIGTERM and SIGHUP no longer end the program by themselves.
    pub(super) fn listen() -> Result<Self, Error> {
        let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]);
        signals
            .map(Self)
            .map_err(|error| Error::local(format!("cannot listen for signals: {error}")))
    }

    /// Passes on each signal, and never ends.
    pub(super) async fn forward<T>(mut self, mut each: impl FnMut(Pressed)) -> T {
        let mut last: Option<Instant> = None;
        while let Some(signal) = self.0.next().await {
            let is_again = last.is_some_and(|last| last.elapsed() < TWICE);
            match signal {
                Ok(Signal::Int) if !is_again => each(Pressed::Once),
                Ok(_) => each(Pressed::Leave),
                Err(_) => continue,
            }
            last = Some(Instant::now());
        }
        std::future::pending().await
    }
}
