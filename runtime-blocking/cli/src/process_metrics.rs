//! What every program says of itself in its metrics, under the names that are usual for it.

use std::fs;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Kind, Metrics};

/// When the program first looked, in seconds since 1970: as good as its start.
static STARTED: LazyLock<u64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());

/// Notes when the program has started.
pub fn started() {
    LazyLock::force(&STARTED);
}

/// Memory, threads and open files, as far as the system says.
pub fn text() -> String {
    let mut all = Metrics::new("process_");
    let mut gauge = |name, help, value: Option<u64>| {
        if let Some(value) = value {
            all.add(Kind::Gauge, name, help, "", &[("", value)]);
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    gauge("start_time_seconds", "When it was started, in seconds since 1970.", Some(*STARTED));
    let resident = of("VmRSS:").map(|kib| kib << 10);
    gauge("resident_memory_bytes", "Memory that it holds, with the program itself.", resident);
    gauge("threads", "Its threads.", of("Threads:"));
    let files = fs::read_dir("/proc/self/fd").map(|files| files.count() as u64);
    gauge("open_fds", "Files and connections that it has open.", files.ok());
    all.into_text()
}
