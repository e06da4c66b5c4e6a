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
/// How long the thread waits for another line before it ends: an idle program does without it.
const LINGER: Duration = Duration::from_secs(10);
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
    /// There is a thread that writes.
    has_writer: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

static QUEUE: LazyLock<&'static Queue> = LazyLock::new(|| {
    // There is one for as long as the program runs.
    Box::leak(Box::default())
});

/// A line to be written. `dropped` says in its format that so many were not.
pub(super) fn put(line: String, dropped: fn(u64) -> String) {
    let queue: &'static Queue = *QUEUE;
    if queue.put(line, dropped) {
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
        if thread.spawn(|| queue.write_until_idle(LINGER)).is_err() {
            queue.write_until_idle(Duration::ZERO);
        }
    }
}

pub(super) fn flush() {
    if let Some(queue) = LazyLock::get(&QUEUE) {
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

    /// Returns whether it takes a thread to write it.
    #[must_use]
    fn put(&self, line: String, dropped: fn(u64) -> String) -> bool {
        let mut waiting = self.waiting();
        let fits = waiting.lines.is_empty() || waiting.bytes + line.len() <= MAX_WAITING_BYTES;
        if fits {
            waiting.push(line);
        } else {
            waiting.dropped += 1;
            waiting.say_dropped = Some(dropped);
        }
        self.changed.notify_all();
        !std::mem::replace(&mut waiting.has_writer, true)
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

    fn write_until_idle(&self, linger: Duration) {
        while let Some(line) = self.take(linger) {
            write(&line);
            self.waiting().is_writing = false;
            self.changed.notify_all();
        }
    }

    /// The next line; `None`, and no writer any more, if none comes for so long.
    fn take(&self, linger: Duration) -> Option<String> {
        let until = Instant::now() + linger;
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.pop() {
                waiting.is_writing = true;
                return Some(line);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                waiting.has_writer = false;
                return None;
            }
            let woken = self.changed.wait_timeout(waiting, left);
            (waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
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

    const NEVER: Duration = Duration::from_secs(3600);

    #[test]
    fn lines_beyond_what_may_wait_are_counted_and_said_after_those_that_do() {
        let queue = Queue::default();
        let long = "x".repeat(MAX_WAITING_BYTES);
        let put = |line: &str| queue.put(line.to_owned(), |dropped| format!("{dropped} dropped"));
        assert!(put(&long), "it takes a thread");
        assert!(!put("second") && !put("third"), "there is one");
        assert_eq!(queue.take(NEVER), Some(long));
        assert_eq!(queue.take(NEVER).as_deref(), Some("2 dropped"));
        assert!(!put("fourth"));
        assert_eq!(queue.take(NEVER).as_deref(), Some("fourth"));
    }

    #[test]
    fn an_idle_program_does_without_a_thread_until_there_is_another_line() {
        let queue = Queue::default();
        let put = || queue.put("a line".to_owned(), |dropped| dropped.to_string());
        for _ in 0..2 {
            assert!(put(), "it takes a thread");
            assert!(queue.take(Duration::ZERO).is_some());
            queue.waiting().is_writing = false;
            assert_eq!(queue.take(Duration::ZERO), None);
        }
    }

    #[test]
    fn the_end_of_the_program_waits_for_what_is_written_and_not_for_ever() {
        let queue = Queue::default();
        queue.flush(Duration::from_secs(60));
        assert!(queue.put("a line that nobody writes".to_owned(), |dropped| dropped.to_string()));
        queue.flush(Duration::from_millis(10));
        assert_eq!(queue.take(NEVER).as_deref(), Some("a line that nobody writes"));
    }
}
