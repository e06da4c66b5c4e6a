//! Processes, seen from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::until;
pub(crate) use crate::harness::process::is_alive;

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn until_gone(pid: u32) {
    until(&format!("the process {pid} is gone"), || (!is_alive(pid)).then_some(()));
}

/// Kills a process with SIGKILL.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a process a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it is running");
}

/// The number that a script has written to a file.
#[track_caller]
pub(crate) fn pid_in(file: &Path) -> u32 {
    until(&format!("a process id in {}", file.display()), || {
        fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok()
    })
}

/// All processes that a process has started, and their descendants.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").expect("a proc file system").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.get(pid).into_iter().flatten().copied().collect::<Vec<_>>());
        next += 1;
    }
    found.split_off(1)
}

/// A process's command line and environment.
pub(crate) fn argv_and_environ(pid: u32) -> [String; 2] {
    ["cmdline", "environ"].map(|name| {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    })
}
