//! `footbridge mirror`: a copy of a session's log in a file (G-1).

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::value::Level;
use footbridge_cli::{print, regular_file, seed};
use footbridge_core::mirror::{Mirror, MirrorCommand, MirrorConfig, MirrorNotice};
use footbridge_smol::{block_on, drive};
use serde_json::json;
use smol::future::FutureExt;

use super::args::mirror::Mirror as Args;
use super::signals::Ends;
use super::{sign_in, work};

pub(super) fn run(args: &Args) -> Result<(), Error> {
    let (relay, reach, credential) = sign_in::whom_to_read(&args.source)?;
    let log = EventLog::new("footbridge mirror", reach.reports.level, reach.reports.format);
    log.unknown_variables(&reach.reports.unknown_variables);
    let path = std::path::absolute(&args.to)
        .map_err(|error| Error::disk(format_args!("--to {}", args.to.display()), &error))?;
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        return Err(Error::local(format!(
            "there is no directory {} for --to: make it, or name another file",
            directory.display()
        )));
    }
    let _lock = lock(&path)?;
    let text = path.into_os_string().into_string();
    let path = text.map_err(|_| Error::usage("--to: the file's path is not UTF-8"))?;
    let host = work::host(&relay, &reach)?;
    let session = args.session.clone();
    let machine = Mirror::new(MirrorConfig { relay, credential, session, path, seed: seed()? });
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let mut printed = Ok(());
    let driven = drive(machine, host, asked, |notice| {
        report(log, &notice);
        if reach.reports.json && printed.is_ok() {
            printed = print(&format!("{}\n", progress(&notice)));
            if printed.is_err() {
                let _ = commands.try_send(MirrorCommand::Stop);
            }
        }
    });
    let ended = ends.forward(|_| {
        // One that has already ended takes no commands.
        let _ = commands.try_send(MirrorCommand::Stop);
    });
    block_on(driven.or(ended))?;
    printed
}

/// How long one that was just killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// One mirror at a time writes to a file. It is made here if it is not there; where that is not
/// possible, the machine says why.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(0o600);
    let Ok(file) = regular_file::open(path).or_else(|_| options.open(path)) else {
        return Ok(None);
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("another mirror is writing to {}", path.display());
                return Err(Error { why: ExitKind::InUse, message });
            }
            // A file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(file)),
        }
    }
}

fn report(log: EventLog, notice: &MirrorNotice) {
    match notice {
        MirrorNotice::Started { seq, cut: 0 } => {
            log.write(Level::Info, "started", &[], format_args!("continuing after event {seq}"));
        }
        MirrorNotice::Started { seq, cut } => log.write(
            Level::Warn,
            "started",
            &[],
            format_args!(
                "cut off {cut} bytes that were not written whole; continuing after event {seq}"
            ),
        ),
        MirrorNotice::Written { seq, .. } => {
            log.write(Level::Debug, "written", &[], format_args!("up to event {seq}"));
        }
        MirrorNotice::Gap { after, resumes_after } => log.write(
            Level::Warn,
            "gap",
            &[],
            format_args!(
                "the relay no longer keeps events {} to {resumes_after}; the file says so",
                after + 1
            ),
        ),
        MirrorNotice::RelayFailing { reason } => log.write(
            Level::Warn,
            "relay_failing",
            &[],
            format_args!("cannot read the log: {reason}; trying until it works"),
        ),
        MirrorNotice::RelayBack => {
            log.write(Level::Info, "relay_back", &[], format_args!("the log can be read again"));
        }
        MirrorNotice::DiskFailing { reason } => log.write(
            Level::Warn,
            "disk_failing",
            &[],
            format_args!("cannot write the file: {reason}; trying until it works, nothing is lost"),
        ),
        MirrorNotice::DiskBack => {
            log.write(Level::Info, "disk_back", &[], format_args!("the file can be written again"));
        }
        MirrorNotice::Ended { seq } => log.write(
            Level::Info,
            "ended",
            &[],
            format_args!("the session has ended; all {seq} events are written"),
        ),
    }
}

fn progress(notice: &MirrorNotice) -> serde_json::Value {
    match notice {
        MirrorNotice::Started { seq, cut } => json!({"event": "started", "seq": seq, "cut": cut}),
        MirrorNotice::Written { seq, bytes } => {
            json!({"event": "written", "seq": seq, "bytes": bytes})
        }
        MirrorNotice::Gap { after, resumes_after } => {
            json!({"event": "gap", "after": after, "resumes_after": resumes_after})
        }
        MirrorNotice::RelayFailing { reason } => {
            json!({"event": "relay_failing", "reason": reason})
        }
        MirrorNotice::RelayBack => json!({"event": "relay_back"}),
        MirrorNotice::DiskFailing { reason } => json!({"event": "disk_failing", "reason": reason}),
        MirrorNotice::DiskBack => json!({"event": "disk_back"}),
        MirrorNotice::Ended { seq } => json!({"event": "ended", "seq": seq}),
    }
}
