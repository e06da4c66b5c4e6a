//! Lines of standard input, for programs that pass them on: as many as are taken, and none in silence.

use std::io::{self, BufRead, Read};
use std::sync::mpsc;

use async_channel::Receiver;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_core::base::limits::MAX_LINE_BYTES;

/// What standard input brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line without its end; never only white space.
    Line(String),
    /// A line that cannot be passed on, and why. More may follow.
    Unreadable(String),
}

/// Reads to the end, or until something is not taken any more.
pub(super) fn read(mut input: impl BufRead, mut take: impl FnMut(Typed) -> bool) {
    let mut number = 0_u64;
    let mut line = Vec::new();
    loop {
        number += 1;
        line.clear();
        let most = MAX_LINE_BYTES as u64 + 1;
        let is_whole = match input.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => line.len() <= MAX_LINE_BYTES || line.ends_with(b"\n"),
            Err(error) => {
                take(Typed::Unreadable(format!("cannot read standard input: {error}")));
                return;
            }
        };
        let typed = if is_whole {
            match std::str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => Typed::Line(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(_) => Typed::Unreadable(format!("line {number} is not UTF-8")),
            }
        } else {
            if skip_line(&mut input).is_err() {
                return;
            }
            Typed::Unreadable(format!("line {number} has more than {MAX_LINE_BYTES} bytes"))
        };
        if !take(typed) {
            return;
        }
    }
}

/// Reads standard input in a thread of its own, so many lines at a time: another one for each permit that
/// is taken.
pub(super) fn standard_input(at_once: usize) -> (Receiver<Typed>, mpsc::Receiver<()>) {
    let (typed, lines) = async_channel::unbounded();
    let (permits, taken) = mpsc::sync_channel(at_once);
    std::thread::spawn(move || {
        read(io::stdin().lock(), |line| permits.send(()).is_ok() && typed.try_send(line).is_ok());
    });
    (lines, taken)
}

/// How a program ends that could not send so many lines.
pub(super) fn unsent(lines: usize, why: ExitKind) -> Result<(), Error> {
    let message = match lines {
        0 => return Ok(()),
        1 => "one line was not sent; see above for why".to_owned(),
        many => format!("{many} lines were not sent; see above for why"),
    };
    Err(Error { why, message })
}

/// Reads to the end of a line, and keeps nothing of it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |at| at + 1);
        input.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8]) -> Vec<Typed> {
        let mut all = Vec::new();
        read(input, |typed| {
            all.push(typed);
            true
        });
        all
    }

    #[test]
    fn a_line_that_cannot_be_passed_on_is_named_and_the_next_is_read() {
        let mut input = b"a\r\n \n\xff\n".to_vec();
        input.resize(input.len() + MAX_LINE_BYTES + 1, b'x');
        input.extend(b"xx\nlast");
        let read = all(&input);
        assert_eq!(read[0], Typed::Line("a".to_owned()));
        assert_eq!(read[1], Typed::Unreadable("line 3 is not UTF-8".to_owned()));
        assert!(matches!(&read[2], Typed::Unreadable(why) if why.starts_with("line 4 has more")));
        assert_eq!(read[3..], [Typed::Line("last".to_owned())]);
    }

    #[test]
    fn a_line_of_the_greatest_length_is_one() {
        let mut input = vec![b'x'; MAX_LINE_BYTES];
        input.extend(b"\nnext\n");
        assert_eq!(all(&input).len(), 2);
    }
}
