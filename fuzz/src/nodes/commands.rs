//! What the shell agent runs: commands of every nature.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::ExitStatus;

use crate::nodes::agents::{Doing, Program, Said};

/// What a command is like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Prints something and ends a little later.
    Quick,
    /// Fails.
    Failing,
    /// Prints as fast as it is read.
    Loud,
    /// Prints a little now and then, for minutes.
    Dripping,
    /// Prints what is no text.
    Binary,
    /// Does not end when it is asked to.
    Stubborn,
    /// Is stuck in the kernel: it takes time even to be killed.
    Stuck,
    /// Ends, and leaves something behind that holds its output open.
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

/// Bytes that a loud one prints in all.
const LOUD: usize = 3 << 20;

struct Running {
    nature: Nature,
    rng: Rng,
    words: Bytes,
    /// Times that it wakes up before it ends.
    wakes: u32,
    printed: usize,
    dying: Duration,
}

/// Half of them are of the quick nature, so that turns come to their end.
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
    fn print(&mut self, bytes: Bytes, doing: &mut Doing) {
        self.printed += bytes.len();
        doing.said.push(Said { bytes, is_line: false, is_message: false });
    }

    fn lasts(&mut self) -> Duration {
        let most = match self.nature {
            Nature::Stubborn | Nature::Stuck => 300_000,
            Nature::Dripping => 10_000,
            _ => 700,
        };
        Duration::from_millis(self.rng.u64(1..most))
    }

    fn shout(&mut self, doing: &mut Doing) {
        let mut room = doing.room;
        while room > 4096 && self.printed < LOUD {
            self.print(Bytes::from("loud and long ".repeat(200)), doing);
            room = room.saturating_sub(2800);
        }
        if self.printed >= LOUD {
            self.end(doing);
        }
    }

    fn end(&mut self, doing: &mut Doing) {
        let code = if self.nature == Nature::Failing { self.rng.i32(1..127) } else { 0 };
        if self.nature == Nature::Littering {
            doing.leaves_behind = Some(Duration::from_millis(self.rng.u64(1..60_000)));
        }
        doing.exit = Some(ExitStatus::Code(code));
    }
}

impl Program for Running {
    fn started(&mut self, doing: &mut Doing) {
        match self.nature {
            Nature::Loud => return self.shout(doing),
            Nature::Binary => {
                let bytes: Vec<u8> = std::iter::repeat_with(|| self.rng.u8(..)).take(500).collect();
                self.print(Bytes::from(bytes), doing);
            }
            _ => self.print(self.words.clone(), doing),
        }
        doing.alarm = Some(self.lasts());
    }

    fn input(&mut self, _: &[u8], _: &mut Doing) {}

    /// The agent is gone: whatever it ran goes with it.
    fn input_ended(&mut self, doing: &mut Doing) {
        doing.exit = Some(ExitStatus::Signal(9));
    }

    fn alarm(&mut self, doing: &mut Doing) {
        if self.wakes == 0 {
            return self.end(doing);
        }
        self.wakes -= 1;
        self.print(self.words.clone(), doing);
        doing.alarm = Some(self.lasts());
    }

    fn signal(&mut self, _: Signal, doing: &mut Doing) {
        if !matches!(self.nature, Nature::Stubborn | Nature::Stuck) {
            doing.exit = Some(ExitStatus::Signal(15));
        }
    }

    fn has_room(&mut self, doing: &mut Doing) {
        if self.nature == Nature::Loud {
            self.shout(doing);
        }
    }

    fn dying(&self) -> Duration {
        self.dying
    }
}
