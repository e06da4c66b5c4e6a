//! Progress for people and their tools: on stderr, one event per line.

mod queue;

use std::env;
use std::fmt;
use std::os::fd::AsFd;
use std::time::SystemTime;

use footbridge_core::base::text::is_hidden;
use footbridge_core::base::time::UnixTime;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::value::{Format, Level};

/// Writes events up to a level.
#[derive(Clone, Copy, Debug)]
pub struct EventLog {
    level: Level,
    format: Format,
    /// The source: `worker`, `relay`.
    component: &'static str,
    stamp: Stamp,
}

/// What a line of text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// Nothing: whoever called the program knows when that was.
    Nothing,
    /// Time and level.
    Time,
    /// The level, in the way that the journal of systemd takes off again; it has the time.
    Journal,
}

/// Says which device and inode the journal's stream is.
const JOURNAL_VARIABLE: &str = "JOURNAL_STREAM";

impl EventLog {
    /// Each line begins with `component`.
    pub const fn new(component: &'static str, level: Level, format: Format) -> Self {
        Self { level, format, component, stamp: Stamp::Nothing }
    }

    /// The log of a program that runs for long: each line says when it was written, unless whoever
    /// takes the lines does.
    pub fn of_service(component: &'static str, level: Level, format: Format) -> Self {
        let is_journal = env::var(JOURNAL_VARIABLE).is_ok_and(|stream| is_stderr(&stream));
        let stamp = if is_journal { Stamp::Journal } else { Stamp::Time };
        Self { level, format, component, stamp }
    }

    /// One event: its name, the ids it is about by kind, and a message for people.
    /// Never waits: if nobody reads stderr, lines are dropped and counted. A closed stderr is ignored.
    pub fn write(
        self,
        level: Level,
        event: &'static str,
        ids: &[(&'static str, &str)],
        message: fmt::Arguments<'_>,
    ) {
        if level > self.level {
            return;
        }
        let entry = Entry { level, component: self.component, event, ids, message };
        let dropped = match (self.format, self.stamp) {
            (Format::Text, Stamp::Nothing) => |lines| dropped(lines, Format::Text, Stamp::Nothing),
            (Format::Text, Stamp::Time) => |lines| dropped(lines, Format::Text, Stamp::Time),
            (Format::Text, Stamp::Journal) => |lines| dropped(lines, Format::Text, Stamp::Journal),
            (Format::Json, _) => |lines| dropped(lines, Format::Json, Stamp::Nothing),
        };
        queue::put(entry.line(self.format, self.stamp), dropped);
    }

    /// Passes on what another program has written to its stderr: each line as it is, without what
    /// control characters would do to a terminal; as an event of that name where events are JSON.
    pub fn pass_on(self, event: &'static str, text: &str) {
        for line in text.lines() {
            if self.format == Format::Json {
                self.write(Level::Error, event, &[], format_args!("{line}"));
                continue;
            }
            let dropped = |lines| dropped(lines, Format::Text, Stamp::Nothing);
            queue::put(shown(line, '\t'), dropped);
        }
    }

    /// Waits, for a moment, until all that was written has left this process.
    pub fn flush() {
        queue::flush();
    }

    /// Warns about variables that look like settings but are not.
    pub fn unknown_variables(self, warnings: &[String]) {
        for warning in warnings {
            self.write(Level::Warn, "unknown_variable", &[], format_args!("{warning}"));
        }
    }
}

/// Says that lines were dropped.
fn dropped(lines: u64, format: Format, stamp: Stamp) -> String {
    let message = format_args!("{lines} lines were dropped, because nobody read this log");
    let (level, component, event) = (Level::Warn, "log", "lines_dropped");
    Entry { level, component, event, ids: &[], message }.line(format, stamp)
}

/// Whether standard error is the stream `DEVICE:INODE`.
fn is_stderr(stream: &str) -> bool {
    let own = rustix::fs::fstat(std::io::stderr().as_fd());
    own.is_ok_and(|own| stream == format!("{}:{}", own.st_dev, own.st_ino))
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct Entry<'a> {
    level: Level,
    component: &'static str,
    event: &'static str,
    ids: &'a [(&'static str, &'a str)],
    message: fmt::Arguments<'a>,
}

impl Entry<'_> {
    fn line(&self, format: Format, stamp: Stamp) -> String {
        match (format, stamp) {
            (Format::Json, _) => self.json(now()),
            (Format::Text, Stamp::Nothing) => self.text(),
            (Format::Text, Stamp::Time) => {
                format!("{} {:5} {}", now(), self.level.word(), self.text())
            }
            (Format::Text, Stamp::Journal) => format!("<{}>{}", self.priority(), self.text()),
        }
    }

    /// As syslog counts them.
    const fn priority(&self) -> u8 {
        match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug => 7,
        }
    }

    /// `worker: session_1 work_2 started, process 12`. Control characters, which may come from a
    /// remote peer, do not reach the terminal, and neither do those that reorder or hide text.
    fn text(&self) -> String {
        let mut line = format!("{}:", self.component);
        if self.level <= Level::Warn {
            let word = if self.level == Level::Error { " error:" } else { " warning:" };
            line.push_str(word);
        }
        for (_, id) in self.ids {
            line.push(' ');
            line.push_str(id);
        }
        line.push_str(&format!(" {}", self.message));
        shown(&line, ' ')
    }

    fn json(&self, time: UnixTime) -> String {
        // Neither keys nor values can fail to be JSON.
        serde_json::to_string(&Line { time, entry: self }).unwrap_or_default()
    }
}

/// A line without control characters, other than the one that is kept.
fn shown(line: &str, kept: char) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            c if c == kept => shown.push(c),
            c if c.is_control() => shown.push(' '),
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

struct Line<'a> {
    time: UnixTime,
    entry: &'a Entry<'a>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { time, entry } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &time.to_string())?;
        map.serialize_entry("level", entry.level.word())?;
        map.serialize_entry("component", entry.component)?;
        map.serialize_entry("event", entry.event)?;
        for (kind, id) in entry.ids {
            map.serialize_entry(kind, id)?;
        }
        map.serialize_entry("message", &entry.message.to_string())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_it_was_written_unless_the_journal_does() {
        let message = format_args!("lost");
        let entry =
            Entry { level: Level::Warn, component: "worker", event: "lost", ids: &[], message };
        let bare = "worker: warning: lost";
        assert_eq!(entry.line(Format::Text, Stamp::Nothing), bare);
        assert_eq!(entry.line(Format::Text, Stamp::Journal), format!("<4>{bare}"));
        let line = entry.line(Format::Text, Stamp::Time);
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        assert_eq!(rest, format!("warn  {bare}"));
        assert!(!is_stderr("1:2") && !is_stderr(""));
    }

    #[test]
    fn an_event_is_one_line_in_either_format() {
        let entry = |level, message| Entry {
            level,
            component: "worker",
            event: "session_started",
            ids: &[("session", "session_1"), ("work", "work_2")],
            message,
        };
        assert_eq!(
            entry(Level::Info, format_args!("started\n\x1b[31m")).text(),
            "worker: session_1 work_2 started  [31m"
        );
        assert_eq!(
            entry(Level::Info, format_args!("rm\u{202e}\u{200b}\u{e0041} é")).text(),
            "worker: session_1 work_2 rm\\u{202e}\\u{200b}\\u{e0041} é"
        );
        assert_eq!(
            entry(Level::Warn, format_args!("lost")).text(),
            "worker: warning: session_1 work_2 lost"
        );
        assert_eq!(
            entry(Level::Error, format_args!("a \"word\"\n")).json(UnixTime::from_millis(0)),
            r#"{"time":"1970-01-01T00:00:00.000Z","level":"error","component":"worker","event":"session_started","session":"session_1","work":"work_2","message":"a \"word\"\n"}"#
        );
    }
}
