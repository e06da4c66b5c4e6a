//! Keys, from the bytes that a terminal sends.

use terminput::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEventKind, ScrollDirection,
};

use super::limits::INPUT_BYTES;

/// A key, or what came instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) enum Key {
    Char(char),
    /// With Control.
    Ctrl(char),
    /// Text that was pasted.
    Paste(String),
    Enter,
    /// One that begins a new line of a message.
    Newline,
    Tab,
    Esc,
    Backspace,
    WordBackspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    WordLeft,
    WordRight,
    Home,
    End,
    PageUp,
    PageDown,
    /// By the keyboard.
    ScrollUp,
    ScrollDown,
    /// By the mouse.
    WheelUp,
    WheelDown,
    Help,
}

/// The longest sequence that a key sends.
const SEQUENCE: usize = 64;
const PASTE: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// What has come of a key that is not complete.
#[derive(Debug, Default)]
pub(in crate::program) struct Keys {
    pending: Vec<u8>,
    pasting: Option<Vec<u8>>,
}

impl Keys {
    /// The keys that these bytes complete.
    pub(in crate::program) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for byte in bytes {
            self.byte(*byte, &mut keys);
        }
        keys
    }

    /// Nothing more came: what there is was a key by itself.
    pub(in crate::program) fn flush(&mut self) -> Vec<Key> {
        let pending = std::mem::take(&mut self.pending);
        match pending.as_slice() {
            [0x1b] => vec![Key::Esc],
            _ => Vec::new(),
        }
    }

    fn byte(&mut self, byte: u8, keys: &mut Vec<Key>) {
        if let Some(pasted) = &mut self.pasting {
            pasted.push(byte);
            if pasted.ends_with(PASTE_END) {
                let text = &pasted[..pasted.len() - PASTE_END.len()];
                keys.push(Key::Paste(String::from_utf8_lossy(text).into_owned()));
                self.pasting = None;
            } else if pasted.len() > 2 * INPUT_BYTES {
                // Too much, and what comes is still no typing.
                let kept = pasted.len() - PASTE_END.len();
                pasted.drain(INPUT_BYTES..kept);
            }
            return;
        }
        if byte == 0x1b && self.pending == [0x1b] {
            // Escape, and then another key.
            keys.push(Key::Esc);
            return;
        }
        self.pending.push(byte);
        if self.pending == PASTE {
            self.pending.clear();
            self.pasting = Some(Vec::new());
            return;
        }
        if self.pending == [0x1b] {
            return;
        }
        match Event::parse_from(&self.pending) {
            Ok(Some(event)) => {
                self.pending.clear();
                keys.extend(key_of(event));
            }
            Ok(None) if self.pending.len() < SEQUENCE => {}
            Ok(None) | Err(_) => self.pending.clear(),
        }
    }
}

fn key_of(event: Event) -> Option<Key> {
    match event {
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        Event::Key(key) => pressed(key),
        Event::Paste(text) => Some(Key::Paste(text)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Scroll(ScrollDirection::Up) => Some(Key::WheelUp),
            MouseEventKind::Scroll(ScrollDirection::Down) => Some(Key::WheelDown),
            _ => None,
        },
        Event::FocusGained | Event::FocusLost | Event::Resize { .. } => None,
        #[allow(unreachable_patterns, reason = "later versions may tell of more")]
        _ => None,
    }
}

fn pressed(key: KeyEvent) -> Option<Key> {
    let has = |modifier| key.modifiers.intersects(modifier);
    let (ctrl, alt) = (has(KeyModifiers::CTRL), has(KeyModifiers::ALT));
    let shift = has(KeyModifiers::SHIFT);
    Some(match key.code {
        KeyCode::Char('j') if ctrl => Key::Newline,
        KeyCode::Char('h') if ctrl => Key::Backspace,
        KeyCode::Char('m') if ctrl => Key::Enter,
        KeyCode::Char('b') if alt => Key::WordLeft,
        KeyCode::Char('f') if alt => Key::WordRight,
        KeyCode::Char(c) if ctrl => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if alt => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter if alt || shift || ctrl => Key::Newline,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab => Key::Tab,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace if alt || ctrl => Key::WordBackspace,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left if ctrl || alt => Key::WordLeft,
        KeyCode::Right if ctrl || alt => Key::WordRight,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up if ctrl || shift || alt => Key::ScrollUp,
        KeyCode::Down if ctrl || shift || alt => Key::ScrollDown,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::F(1) => Key::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys_however_they_are_cut() {
        let bytes = "aé\r\n\x03\x1b[A\x1b[1;5D\x1b[5~\x1bb\x1b\r\x1b[200~x\n\x1b[2Jy\x1b[201~\x1b[<64;1;1Mz\x1b\x1bOPz";
        let expected = [
            Key::Char('a'),
            Key::Char('é'),
            Key::Enter,
            Key::Newline,
            Key::Ctrl('c'),
            Key::Up,
            Key::WordLeft,
            Key::PageUp,
            Key::WordLeft,
            Key::Newline,
            Key::Paste("x\n\x1b[2Jy".to_owned()),
            Key::WheelUp,
            Key::Char('z'),
            Key::Esc,
            Key::Help,
            Key::Char('z'),
        ];
        for size in [1, 2, 7, bytes.len()] {
            let mut keys = Keys::default();
            let all: Vec<_> =
                bytes.as_bytes().chunks(size).flat_map(|part| keys.feed(part)).collect();
            assert_eq!(all, expected, "{size}");
        }
        let mut keys = Keys::default();
        assert!(keys.feed(b"\x1b").is_empty());
        assert_eq!(keys.flush(), [Key::Esc]);
    }

    #[test]
    fn no_bytes_do_harm_and_a_paste_that_is_too_long_is_not_typed() {
        let mut keys = Keys::default();
        for byte in 0..=255 {
            keys.feed(&[0x1b, b'[', byte, byte]);
            keys.feed(&[byte]);
        }
        keys.feed(b"zzzz");
        keys.flush();
        let mut keys = Keys::default();
        keys.feed(PASTE);
        for _ in 0..5 {
            assert!(keys.feed(&vec![b'\r'; INPUT_BYTES]).is_empty());
        }
        let pasted = keys.feed(PASTE_END);
        assert!(matches!(&pasted[..], [Key::Paste(_)]), "{}", pasted.len());
    }
}
