//! What `/proc` says about processes.

use std::fs;

use crate::mark::VARIABLE;

/// One process, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) session: i32,
    /// When it was started, in ticks since the machine was: with its id, it names one process.
    pub(super) start: u64,
    pub(super) name: String,
    /// It has exited, and waits to be reaped.
    pub(super) is_dead: bool,
}

impl Entry {
    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `12 (name) S 1 …`. The name may contain anything, brackets too.
    fn parse(pid: i32, stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        let threads: u64 = fields.get(17)?.parse().ok()?;
        // A process whose first thread has ended looks dead, and may have others.
        let is_dead = matches!(*fields.first()?, "Z" | "X") && threads <= 1;
        Some(Self {
            pid,
            parent: number(1)?,
            session: number(3)?,
            start: fields.get(19)?.parse().ok()?,
            name,
            is_dead,
        })
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let name: String =
            self.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{} ({name})", self.pid)
    }
}

/// Every process, the newest first: those are the most likely to be gone soon.
pub(super) fn all() -> impl Iterator<Item = Entry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<i32> = pids.collect();
    pids.sort_unstable();
    pids.into_iter().rev().filter_map(Entry::read)
}

/// The words of a process's mark. Empty if it has none, or is somebody else's.
pub(super) fn marks(pid: i32) -> Vec<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="));
    let value = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    value.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The process namespace that this process is in: ids mean something only within one.
pub(super) fn namespace() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    let link = link.to_str()?.strip_prefix("pid:[")?;
    Some(link.strip_suffix(']')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_hides_nothing() {
        let fields = "S 7 8 9 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 4711 1 1";
        let stat = format!("12 (a) R (b c) {fields}");
        let entry = Entry::parse(12, stat.as_bytes()).expect("an entry");
        assert_eq!((entry.parent, entry.session, entry.start), (7, 9, 4711));
        assert_eq!((entry.name.as_str(), entry.is_dead), ("a) R (b c", false));
        assert_eq!(Entry::parse(12, b"12 (a"), None);
    }

    #[test]
    fn this_process_is_among_all() {
        let pid = i32::try_from(std::process::id()).expect("an id");
        let own = all().find(|entry| entry.pid == pid).expect("this process");
        assert!(!own.is_dead && own.start > 0);
        assert!(namespace().is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit())));
    }
}
