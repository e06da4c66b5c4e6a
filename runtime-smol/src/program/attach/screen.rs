//! `footbridge attach` on a terminal: notices in, frames out.

use std::cell::Cell;
use std::io::{self, Write as _};

use async_channel::{Receiver, Sender};
use footbridge_cli::exit::Error;
use footbridge_core::base::id::SessionId;
use footbridge_core::contract::machine::MachineError;
use footbridge_core::remote::{
    LobbyAnswer, LobbyCall, Remote, RemoteCommand, RemoteConfig, RemoteNotice,
};
use footbridge_smol::{block_on, drive};
use smol::future::FutureExt as _;

use super::{Place, choose};
use crate::program::drawn::Drawn;
use crate::program::terminal::{OLDER, Standing, Wish};
use crate::program::work;

/// What is to be fetched beside the stream.
enum Fetch {
    Older { before: u64 },
    Machine { environment: String },
}

/// The screen, and whom it gives its wishes to.
struct Screen {
    drawn: Drawn,
    commands: Sender<RemoteCommand>,
    fetches: Sender<Fetch>,
    knows_machine: Cell<bool>,
}

pub(super) fn run(place: &Place, config: RemoteConfig) -> Result<(), Error> {
    let session = config.session.clone();
    let (commands, asked) = async_channel::unbounded();
    let (fetches, to_fetch) = async_channel::unbounded();
    let host = work::host(&place.relay, &place.reach)?;
    let standing = if config.viewer_only { Standing::LooksOn } else { Standing::Follows };
    let (drawn, signals, wished) = Drawn::enter(standing)?;
    let screen = Screen { drawn, commands, fetches, knows_machine: Cell::new(false) };
    let driven = drive(Remote::new(config), host, asked, |notice| screen.notice(&notice));
    let showing = screen.drawn.show(signals);
    let granting = screen.grant(&wished);
    let fetching = screen.fetch(place, &session, &to_fetch);
    let outcome = block_on(driven.or(showing).or(granting).or(fetching));
    drop(screen);
    if outcome.is_ok() {
        let words = format!("left {session}; footbridge attach {session} comes back to it");
        // The terminal may be what has gone.
        let _ = writeln!(io::stdout(), "{words}");
    }
    outcome.map_err(Error::from)
}

type Ended = Result<(), MachineError>;

impl Screen {
    fn notice(&self, notice: &RemoteNotice) {
        self.drawn.model().notice(notice);
        if let RemoteNotice::Session(session) = notice
            && !self.knows_machine.replace(true)
        {
            let environment = session.environment_id.to_string();
            let _ = self.fetches.try_send(Fetch::Machine { environment });
        }
        self.drawn.changed();
    }

    /// Passes on what is wished for.
    async fn grant(&self, wished: &Receiver<Wish>) -> Ended {
        while let Ok(wish) = wished.recv().await {
            match wish {
                Wish::Command(command) => drop(self.commands.try_send(command)),
                Wish::Older { before } => drop(self.fetches.try_send(Fetch::Older { before })),
                Wish::Detach | Wish::Suspend | Wish::Repaint | Wish::Mouse { .. } => {}
            }
        }
        std::future::pending().await
    }

    async fn fetch(&self, place: &Place, session: &SessionId, fetches: &Receiver<Fetch>) -> Ended {
        while let Ok(fetch) = fetches.recv().await {
            match fetch {
                Fetch::Older { before } => {
                    let after = before.saturating_sub(OLDER + 1);
                    self.older(place, session, after, before).await;
                }
                Fetch::Machine { environment } => {
                    let call = choose::asked(place, LobbyCall::Environments, |_| {}).await;
                    if let Ok(LobbyAnswer::Environments(all)) = call {
                        let mut all = all.iter();
                        let found = all.find(|one| one.id.to_string() == environment);
                        if let Some(found) = found {
                            self.drawn.model().machine(&found.machine_name, &found.directory);
                        }
                    }
                }
            }
            self.drawn.changed();
        }
        std::future::pending().await
    }

    /// Events after one and before another: as many pages as that takes.
    async fn older(&self, place: &Place, session: &SessionId, after: u64, before: u64) {
        let (mut all, mut from) = (Vec::new(), after);
        loop {
            let (session, limit) = (session.clone(), before.saturating_sub(from + 1));
            let call = LobbyCall::Events { session, after: from, limit: limit.max(1) };
            match choose::asked(place, call, |_| {}).await {
                Ok(LobbyAnswer::Events { mut events, first_seq }) => {
                    events.retain(|event| event.seq < before);
                    let last = events.last().map(|event| event.seq);
                    all.append(&mut events);
                    match last {
                        Some(last) if last + 1 < before => from = last,
                        _ => return self.drawn.model().older(&all, after, first_seq),
                    }
                }
                Ok(_) => return self.drawn.model().no_older("the relay sent none"),
                Err(error) => return self.drawn.model().no_older(&error.to_string()),
            }
        }
    }
}
