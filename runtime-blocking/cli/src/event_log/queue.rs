//! The lines on their way to stderr.
//!
//! A thread of its own writes them: a terminal that is held, a pager that is stopped or a collector
//! that hangs makes a write wait for as long as that lasts, and nothing else may wait with it.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of lines that wait to be written.
const MAX_WAITING_BYTES: usize = 256 << 10;
/// How long the end of the program waits for them.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// Bytes of the thread's stack.
const STACK_BYTES: usize = 128 << 10;

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines for which there was no room since the last one that had some.
    dropped: u64,
    /// Says how many, as the last of them would have.
    say_dropped: Option<fn(u64) -> String>,
    /// A line has been taken, and is not written yet.
    is_writing: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

static QUEUE: LazyLock<Option<&'static Queue>> = LazyLock::new(start);

fn start() -> Option<&'static Queue> {
    // There is one for as long as the program runs.
    let queue: &'static Queue = Box::leak(Box::default());
    let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(|| queue.write_on()).ok().map(|_| queue)
}

/// A line to be written. `dropped` says in its format that so many were not.
pub(super) fn put(line: String, dropped: fn(u64) -> String) {
    match *QUEUE {
        Some(queue) => queue.put(line, dropped),
        None => write(&line),
    }
}

pub(super) fn flush() {
    if let Some(queue) = LazyLock::get(&QUEUE).copied().flatten() {
        queue.flush(FLUSH_WITHIN);
    }
}

fn write(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: String, dropped: fn(u64) -> String) {
        let mut waiting = self.waiting();
        let fits = waiting.lines.is_empty() || waiting.bytes + line.len() <= MAX_WAITING_BYTES;
        if fits {
            waiting.push(line);
        } else {
            waiting.dropped += 1;
            waiting.say_dropped = Some(dropped);
        }
        self.changed.notify_all();
    }

    fn flush(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut waiting = self.waiting();
        while !waiting.lines.is_empty() || waiting.is_writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(waiting, left);
            (waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_on(&self) {
        loop {
            write(&self.take());
            self.waiting().is_writing = false;
            self.changed.notify_all();
        }
    }

    fn take(&self) -> String {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.pop() {
                waiting.is_writing = true;
                return line;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    /// The next line. What was dropped is said after all that had been written before it.
    fn pop(&mut self) -> Option<String> {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.len();
            return Some(line);
        }
        let say = self.say_dropped.take()?;
        Some(say(std::mem::take(&mut self.dropped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_what_may_wait_are_counted_and_said_after_those_that_do() {
        let queue = Queue::default();
        let long = "x".repeat(MAX_WAITING_BYTES);
        let put = |line: &str| queue.put(line.to_owned(), |dropped| format!("{dropped} dropped"));
        put(&long);
        put("second");
        put("third");
        assert_eq!(queue.take(), long);
        assert_eq!(queue.take(), "2 dropped");
        put("fourth");
        assert_eq!(queue.take(), "fourth");
    }

    #[test]
    fn the_end_of_the_program_waits_for_what_is_written_and_not_for_ever() {
        let queue = Queue::default();
        queue.flush(Duration::from_secs(60));
        queue.put("a line that nobody writes".to_owned(), |dropped| dropped.to_string());
        queue.flush(Duration::from_millis(10));
        assert_eq!(queue.take(), "a line that nobody writes");
    }
}
