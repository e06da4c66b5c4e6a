//! Progress for people: on stderr, one event a line.

use std::fmt;
use std::io::Write;

use super::args::Verbosity;

/// Writes what happens, as far as it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Journal {
    verbosity: Verbosity,
    /// Who speaks, at the beginning of each line.
    who: &'static str,
}

impl Journal {
    /// `who` stands at the beginning of each line.
    pub const fn new(who: &'static str, verbosity: Verbosity) -> Self {
        Self { verbosity, who }
    }

    /// Something that a person wants to know.
    pub fn say(self, line: fmt::Arguments<'_>) {
        if self.verbosity >= Verbosity::Normal {
            self.write(line);
        }
    }

    /// Something that a person wants to know only when looking for a fault.
    pub fn detail(self, line: fmt::Arguments<'_>) {
        if self.verbosity >= Verbosity::Verbose {
            self.write(line);
        }
    }

    /// Something that went wrong.
    pub fn error(self, line: fmt::Arguments<'_>) {
        self.write(line);
    }

    /// Control characters, which may come from afar, do not reach the terminal. Nobody is told of a
    /// stderr that is gone.
    fn write(self, line: fmt::Arguments<'_>) {
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = format!("{}: {line}", self.who).chars().map(visible).collect();
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}
