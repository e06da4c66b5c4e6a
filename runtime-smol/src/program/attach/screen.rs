//! `footbridge attach` on a terminal: bytes, signals and notices in, frames out.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_signal::{Signal, Signals};
use footbridge_cli::exit::Error;
use footbridge_core::base::id::SessionId;
use footbridge_core::remote::{
    LobbyAnswer, LobbyCall, Remote, RemoteCommand, RemoteConfig, RemoteNotice,
};
use footbridge_smol::{block_on, drive};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smol::future::FutureExt as _;
use smol::stream::StreamExt as _;

use super::{Place, choose};
use crate::program::terminal::{Colours, Keys, Model, OLDER, Painter, Tty, Wish, write_frame};
use crate::program::work;

/// No more frames than one in this time.
const FRAME: Duration = Duration::from_millis(16);
/// How long the rest of a key's sequence may take.
const SEQUENCE: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const READ: usize = 4096;

/// What the keyboard brings.
enum Typed {
    Bytes(Vec<u8>),
    /// Nothing came for a moment.
    Pause,
}

/// What is to be fetched beside the stream.
enum Fetch {
    Older { before: u64 },
    Machine { environment: String },
}

/// The screen, and whom it gives its wishes to.
struct Screen {
    model: RefCell<Model>,
    painter: RefCell<Painter>,
    tty: RefCell<Tty>,
    commands: Sender<RemoteCommand>,
    fetches: Sender<Fetch>,
    wake: Sender<()>,
    origin: Instant,
    knows_machine: Cell<bool>,
}

pub(super) fn run(place: &Place, config: RemoteConfig) -> Result<(), Error> {
    let session = config.session.clone();
    let (commands, asked) = async_channel::unbounded();
    let (fetches, to_fetch) = async_channel::unbounded();
    let (wake, woken) = async_channel::bounded(1);
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colours = if has_colours { Colours::All } else { Colours::None };
    let host = work::host(&place.relay, &place.reach)?;
    // Before the terminal is changed: from then on each of them gives it back.
    let signals =
        [Signal::Int, Signal::Term, Signal::Hup, Signal::Winch, Signal::Cont, Signal::Tstp];
    let signals = Signals::new(signals)
        .map_err(|error| Error::local(format!("cannot listen for signals: {error}")))?;
    let tty = Tty::enter()
        .map_err(|error| Error::local(format!("cannot use the terminal: {error}; try --plain")))?;
    let screen = Screen {
        model: RefCell::new(Model::new(Tty::size(), config.viewer_only)),
        painter: RefCell::new(Painter::new(colours)),
        tty: RefCell::new(tty),
        commands,
        fetches,
        wake,
        origin: Instant::now(),
        knows_machine: Cell::new(false),
    };
    let typed = keyboard();
    let driven = drive(Remote::new(config), host, asked, |notice| screen.notice(&notice));
    let typing = screen.type_keys(&typed);
    let signalled = screen.take_signals(signals);
    let fetching = screen.fetch(place, &session, &to_fetch);
    let painting = screen.paint(&woken);
    screen.changed();
    let outcome = block_on(driven.or(typing).or(signalled).or(fetching).or(painting));
    drop(screen);
    if outcome.is_ok() {
        let words = format!("left {session}; footbridge attach {session} comes back to it");
        // The terminal may be what has gone.
        let _ = writeln!(io::stdout(), "{words}");
    }
    outcome.map_err(Error::from)
}

type Ended = Result<(), footbridge_core::contract::machine::MachineError>;

impl Screen {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Something may look different now.
    fn changed(&self) {
        // One that waits already is enough.
        let _ = self.wake.try_send(());
    }

    fn notice(&self, notice: &RemoteNotice) {
        self.model.borrow_mut().notice(notice);
        if let RemoteNotice::Session(session) = notice
            && !self.knows_machine.replace(true)
        {
            let environment = session.environment_id.to_string();
            let _ = self.fetches.try_send(Fetch::Machine { environment });
        }
        self.grant();
        self.changed();
    }

    /// Does what is wished for.
    fn grant(&self) {
        while let Some(wish) = self.next_wish() {
            match wish {
                Wish::Command(command) => drop(self.commands.try_send(command)),
                Wish::Older { before } => drop(self.fetches.try_send(Fetch::Older { before })),
                Wish::Suspend => self.tty.borrow().suspend(),
                Wish::Repaint => self.painter.borrow_mut().forget(),
                Wish::Mouse { is_ours } => self.tty.borrow_mut().mouse(is_ours),
            }
        }
    }

    fn next_wish(&self) -> Option<Wish> {
        self.model.borrow_mut().next_wish()
    }

    async fn type_keys(&self, typed: &Receiver<Typed>) -> Ended {
        let mut keys = Keys::default();
        while let Ok(typed) = typed.recv().await {
            let pressed = match typed {
                Typed::Bytes(bytes) => keys.feed(&bytes),
                Typed::Pause => keys.flush(),
            };
            for key in pressed {
                self.model.borrow_mut().key(self.now(), &key);
                self.grant();
            }
            self.changed();
        }
        // The terminal is gone.
        self.model.borrow_mut().leave();
        self.grant();
        std::future::pending().await
    }

    async fn take_signals(&self, mut signals: Signals) -> Ended {
        while let Some(signal) = signals.next().await {
            match signal {
                Ok(Signal::Int) => self.model.borrow_mut().interrupt(self.now()),
                Ok(Signal::Term | Signal::Hup) => self.model.borrow_mut().leave(),
                Ok(Signal::Tstp) => self.tty.borrow().suspend(),
                Ok(Signal::Cont) => {
                    self.tty.borrow().resume();
                    self.model.borrow_mut().resize(Tty::size());
                    self.painter.borrow_mut().forget();
                }
                Ok(Signal::Winch) => {
                    self.model.borrow_mut().resize(Tty::size());
                    self.painter.borrow_mut().forget();
                }
                Ok(_) | Err(_) => continue,
            }
            self.grant();
            self.changed();
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
                            self.model.borrow_mut().machine(&found.machine_name);
                        }
                    }
                }
            }
            self.changed();
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
                        _ => return self.model.borrow_mut().older(&all, after, first_seq),
                    }
                }
                Ok(_) => return self.model.borrow_mut().no_older("the relay sent none"),
                Err(error) => return self.model.borrow_mut().no_older(&error.to_string()),
            }
        }
    }

    async fn paint(&self, woken: &Receiver<()>) -> Ended {
        let (frames, written) = display();
        while woken.recv().await.is_ok() {
            let frame = self.model.borrow_mut().frame(self.now());
            // Older events may be wanted now.
            self.grant();
            let bytes = self.painter.borrow_mut().paint(frame);
            if !bytes.is_empty() && frames.try_send(bytes).is_ok() {
                // A terminal that is slow gets fewer frames.
                let _ = written.recv().await;
            }
            async_io::Timer::after(FRAME).await;
        }
        std::future::pending().await
    }
}

/// A thread that reads the keyboard: a terminal that is shared with other programs cannot be polled
/// without changing it for them too.
fn keyboard() -> Receiver<Typed> {
    let (sender, typed) = async_channel::unbounded();
    std::thread::spawn(move || {
        let mut stdin = io::stdin();
        let mut buffer = [0; READ];
        loop {
            let count = match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            // A sequence may have begun that ends here, or a key that is one by itself.
            let may_be_cut = buffer[..count].contains(&0x1b);
            if sender.try_send(Typed::Bytes(buffer[..count].to_vec())).is_err() {
                return;
            }
            if may_be_cut && !has_more() && sender.try_send(Typed::Pause).is_err() {
                return;
            }
        }
    });
    typed
}

fn has_more() -> bool {
    let stdin = io::stdin();
    let stdin = stdin.as_fd();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let within = Timespec::try_from(SEQUENCE).ok();
    poll(&mut ready, within.as_ref()).is_ok_and(|ready| ready > 0)
}

/// A thread that writes frames, and says when one is written: a terminal that takes nothing holds up
/// nothing else.
fn display() -> (Sender<Vec<u8>>, Receiver<()>) {
    let (sender, frames) = async_channel::bounded::<Vec<u8>>(1);
    let (done, written) = async_channel::bounded(1);
    std::thread::spawn(move || {
        while let Ok(frame) = frames.recv_blocking() {
            if write_frame(&frame).is_err() || done.send_blocking(()).is_err() {
                return;
            }
        }
    });
    (sender, written)
}
