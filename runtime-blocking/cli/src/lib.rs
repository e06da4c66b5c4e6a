//! What Footbridge's programs share: command-line options, settings values, the token file, the
//! event log on stderr, exit codes. Nothing here needs a runtime or knows the protocol.

pub mod agent;
pub mod agent_line;
pub mod args;
pub mod duration;
pub mod event_log;
pub mod exit;
pub mod health;
pub mod help;
pub mod left_session;
pub mod lock;
pub mod log_ins;
pub mod metrics;
pub mod near;
pub mod observers;
pub mod place;
pub mod process_metrics;
pub mod ready;
pub mod regular_file;
pub mod secret_file;
pub mod service_manager;
pub mod token;
pub mod value;
pub mod worker;

use std::io::Write;
use std::path::Path;

use exit::{Error, ExitKind};

/// Writes to standard output. A closed pipe is not an error.
pub fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::local(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Fills a buffer with random bytes from the system.
pub fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error {
        why: ExitKind::Unexpected,
        message: format!("cannot get random bytes from the system: {error}"),
    })
}

/// So many random bytes from the system, as hexadecimal digits.
pub fn random_hex<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A name that nobody else has: a random UUID (RFC 9562, version 4).
pub fn uuid() -> Result<String, Error> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// A seed for anything that need not be secret.
pub fn seed() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The directory's canonical path, which must be text.
pub fn directory(path: &Path) -> Result<String, Error> {
    let shown = path.display();
    let found = path.canonicalize();
    let found = found.map_err(|error| Error::local(format!("the directory {shown}: {error}")))?;
    if !found.is_dir() {
        return Err(Error::local(format!("{shown} is not a directory")));
    }
    found.into_os_string().into_string().map_err(|path| {
        Error::local(format!("the path of the directory {} is not UTF-8", path.display()))
    })
}
