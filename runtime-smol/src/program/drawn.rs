//! A terminal that is drawn: the keyboard and signals into a [`Model`], its frames to the screen.

use std::cell::{RefCell, RefMut};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_signal::{Signal, Signals};
use footbridge_cli::exit::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smol::future::FutureExt as _;
use smol::stream::StreamExt as _;

use super::terminal::{Colours, Keys, Model, Painter, Standing, Tty, Wish, write_frame};

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

/// The terminal, in this program's hands until it is dropped, and what it shows.
pub(super) struct Drawn {
    model: RefCell<Model>,
    painter: RefCell<Painter>,
    tty: RefCell<Tty>,
    wishes: Sender<Wish>,
    wake: Sender<()>,
    woken: Receiver<()>,
    origin: Instant,
}

impl Drawn {
    /// Takes the terminal. What it cannot do itself comes as wishes.
    pub(super) fn enter(standing: Standing) -> Result<(Self, Signals, Receiver<Wish>), Error> {
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colours = if has_colours { Colours::All } else { Colours::None };
        // Before the terminal is changed: from then on each of them gives it back.
        let signals =
            [Signal::Int, Signal::Term, Signal::Hup, Signal::Winch, Signal::Cont, Signal::Tstp];
        let signals = Signals::new(signals)
            .map_err(|error| Error::local(format!("cannot listen for signals: {error}")))?;
        let tty = Tty::enter().map_err(|error| {
            Error::local(format!("cannot use the terminal: {error}; try --plain"))
        })?;
        let (wishes, wished) = async_channel::unbounded();
        let (wake, woken) = async_channel::bounded(1);
        let drawn = Self {
            model: RefCell::new(Model::new(Tty::size(), standing)),
            painter: RefCell::new(Painter::new(colours)),
            tty: RefCell::new(tty),
            wishes,
            wake,
            woken,
            origin: Instant::now(),
        };
        drawn.changed();
        Ok((drawn, signals, wished))
    }

    /// What is shown; to be followed by [`changed`](Self::changed).
    pub(super) fn model(&self) -> RefMut<'_, Model> {
        self.model.borrow_mut()
    }

    /// Something may look different now.
    pub(super) fn changed(&self) {
        self.grant();
        // One that waits already is enough.
        let _ = self.wake.try_send(());
    }

    /// Takes keys and signals, and draws, for as long as it is polled.
    pub(super) async fn show<T>(&self, signals: Signals) -> T {
        let typed = keyboard();
        self.type_keys(&typed).or(self.take_signals(signals)).or(self.paint()).await
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Does what is wished for, or passes it on.
    fn grant(&self) {
        while let Some(wish) = self.next_wish() {
            match wish {
                Wish::Suspend => self.tty.borrow().suspend(),
                Wish::Repaint => self.painter.borrow_mut().forget(),
                Wish::Mouse { is_ours } => self.tty.borrow_mut().mouse(is_ours),
                other => drop(self.wishes.try_send(other)),
            }
        }
    }

    fn next_wish(&self) -> Option<Wish> {
        self.model.borrow_mut().next_wish()
    }

    async fn type_keys<T>(&self, typed: &Receiver<Typed>) -> T {
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
        self.changed();
        std::future::pending().await
    }

    async fn take_signals<T>(&self, mut signals: Signals) -> T {
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
            self.changed();
        }
        std::future::pending().await
    }

    async fn paint<T>(&self) -> T {
        let (frames, written) = display();
        while self.woken.recv().await.is_ok() {
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
