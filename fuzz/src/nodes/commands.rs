//! Commands for the shell agent, of every nature.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::ExitStatus;

use crate::nodes::agents::{Printed, Program, Syscalls};

/// How a command behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Prints something and exits shortly after.
    Quick,
    /// Fails.
    Failing,
    /// Prints as fast as it is read.
    Loud,
    /// Prints a little now and then, for minutes.
    Dripping,
    /// Prints binary data.
    Binary,
    /// Does not end when asked to.
    Stubborn,
    /// Is stuck in the kernel: even killing it takes time.
    Stuck,
    /// Exits, and leaves something behind that holds its output open.
    Littering,
}

const NATURES: [Nature; 8] = [
    Nature::Quick,
    Nature::Failing,
    Nature::Loud,
    Nature::Dripping,
    Nature::Binary,
    Nature::Stubborn,
    Nature::Stuck,
    Nature::Littering,
];

/// Bytes that a loud one prints in total.
const LOUD: usize = 3 << 20;

struct Running {
    nature: Nature,
    rng: Rng,
    words: Bytes,
    /// How often it wakes up before it exits.
    wakes: u32,
    printed: usize,
    dying: Duration,
}

/// Half of them are quick, so that turns end.
pub(crate) fn command(command: &ProcessSpec, seed: u64) -> Box<dyn Program> {
    let mut rng = Rng::with_seed(seed);
    let line = command.args.last().cloned().unwrap_or_default();
    let nature = if rng.bool() { Nature::Quick } else { NATURES[rng.usize(..NATURES.len())] };
    let wakes = match nature {
        Nature::Dripping => rng.u32(1..40),
        Nature::Loud => u32::MAX,
        _ => 0,
    };
    let dying = Duration::from_millis(rng.u64(1..30_000));
    let dying = if nature == Nature::Stuck { dying } else { Duration::ZERO };
    let words = Bytes::from(format!("ran {line}\n"));
    Box::new(Running { nature, rng, words, wakes, printed: 0, dying })
}

impl Running {
    fn print(&mut self, bytes: Bytes, sys: &mut Syscalls) {
        self.printed += bytes.len();
        sys.printed.push(Printed { bytes, is_line: false, is_message: false });
    }

    fn lasts(&mut self) -> Duration {
        let most = match self.nature {
            Nature::Stubborn | Nature::Stuck => 300_000,
            Nature::Dripping => 10_000,
            _ => 700,
        };
        Duration::from_millis(self.rng.u64(1..most))
    }

    fn shout(&mut self, sys: &mut Syscalls) {
        let mut room = sys.room;
        while room > 4096 && self.printed < LOUD {
            self.print(Bytes::from("loud and long ".repeat(200)), sys);
            room = room.saturating_sub(2800);
        }
        if self.printed >= LOUD {
            self.end(sys);
        }
    }

    fn end(&mut self, sys: &mut Syscalls) {
        let code = if self.nature == Nature::Failing { self.rng.i32(1..127) } else { 0 };
        if self.nature == Nature::Littering {
            sys.leaves_behind = Some(Duration::from_millis(self.rng.u64(1..60_000)));
        }
        sys.exit = Some(ExitStatus::Code(code));
    }
}

impl Program for Running {
    fn started(&mut self, sys: &mut Syscalls) {
        match self.nature {
            Nature::Loud => return self.shout(sys),
            Nature::Binary => {
                let bytes: Vec<u8> = std::iter::repeat_with(|| self.rng.u8(..)).take(500).collect();
                self.print(Bytes::from(bytes), sys);
            }
            _ => self.print(self.words.clone(), sys),
        }
        sys.alarm = Some(self.lasts());
    }

    fn input(&mut self, _: &[u8], _: &mut Syscalls) {}

    /// The agent is gone: whatever it was running goes with it.
    fn input_ended(&mut self, sys: &mut Syscalls) {
        sys.exit = Some(ExitStatus::Signal(9));
    }

    fn alarm(&mut self, sys: &mut Syscalls) {
        if self.wakes == 0 {
            return self.end(sys);
        }
        self.wakes -= 1;
        self.print(self.words.clone(), sys);
        sys.alarm = Some(self.lasts());
    }

    fn signal(&mut self, _: Signal, sys: &mut Syscalls) {
        if !matches!(self.nature, Nature::Stubborn | Nature::Stuck) {
            sys.exit = Some(ExitStatus::Signal(15));
        }
    }

    fn has_room(&mut self, sys: &mut Syscalls) {
        if self.nature == Nature::Loud {
            self.shout(sys);
        }
    }

    fn dying(&self) -> Duration {
        self.dying
    }
}
