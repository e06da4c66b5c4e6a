//! What a relay finds when it starts, because it or another one before it has left it there.

use std::path::{Path, PathBuf};

use footbridge_cli::args::LogArgs;
use footbridge_cli::exit::Error;
use footbridge_cli::random;
use footbridge_cli::secret_file::{Key, check_directory, read_key, read_or_create_key};
use footbridge_cli::token::Sources;
use footbridge_cli::value::Level;
use footbridge_core::base::limits::MAX_SIGNING_KEYS;
use footbridge_core::base::secret::Secret;
use footbridge_core::relay::RelayKeys;
use footbridge_core::store::{MemoryStore, Store};
use footbridge_store_sqlite::{Made, Salvaged};

use super::args::{Data, Serve};
use super::relay_log::event_log;

/// The file of the key that tokens of workers and sessions are signed with, in the data directory.
pub(super) const SIGNING_KEY: &str = "signing-key";
/// The file of the key that push services know the relay by, in the data directory.
pub(super) const PUSH_KEY: &str = "push-key";
/// The folder of the relay's own certificate and authority.
pub(super) const TLS: &str = "tls";
/// The access token's file, in a directory that was chosen by its owner.
pub(super) const TOKEN: &str = "token";
/// The directory of its people besides the owner, in the data directory.
pub(super) const USERS: &str = "users";
/// The data directory's name in the state directory.
const RELAY: &str = "relay";

/// What outlives a relay.
pub(super) struct Kept {
    /// Where all of it is kept, if anywhere.
    pub(super) directory: Option<PathBuf>,
    pub(super) token: Secret,
    /// Where the token is kept, unless it came from the environment.
    pub(super) token_file: Option<PathBuf>,
    pub(super) keys: RelayKeys,
    pub(super) store: Box<dyn Store>,
}

/// Where a relay keeps its data, if anywhere, and where its access token comes from.
pub(super) fn places(data: &Data, reports: &LogArgs) -> Result<(Option<PathBuf>, Sources), Error> {
    let mut sources = Sources::of(reports);
    let directory = match data {
        Data::InMemory => None,
        Data::In(directory) => {
            sources.file.get_or_insert_with(|| directory.join(TOKEN));
            Some(directory.clone())
        }
        Data::Default => Some(default_directory(&sources)?),
    };
    Ok((directory, sources))
}

/// Where a relay keeps its data, if anywhere.
pub(super) fn directory(serve: &Serve) -> Result<Option<PathBuf>, Error> {
    Ok(places(&serve.data, &serve.reports)?.0)
}

/// Opens what an earlier relay kept, or starts with an empty store.
pub(super) fn open(serve: &Serve) -> Result<Kept, Error> {
    let (directory, sources) = places(&serve.data, &serve.reports)?;
    // The ids of one run must never be those of another.
    let mut keys = RelayKeys::new([0; 32], [0; 32]);
    random(&mut keys.entropy)?;
    let store: Box<dyn Store> = match &directory {
        None => {
            random(&mut keys.signing)?;
            random(&mut keys.push)?;
            Box::new(MemoryStore::new())
        }
        // The store comes first: it locks the directory.
        Some(directory) => {
            if directory.exists() {
                check_directory(directory, "relay's data")?;
            }
            let opened = footbridge_store_sqlite::open(directory)
                .map_err(|error| Error::local(error.to_string()))?;
            let key = directory.join(SIGNING_KEY);
            for older in older_keys(directory) {
                keys.older.extend(read_key(&older, Key::Signing)?);
            }
            if let Some(salvaged) = &opened.salvaged {
                report_salvaged(serve, salvaged);
            }
            let has_key = key.exists();
            keys.signing = read_or_create_key(&key, Key::Signing)?;
            match &opened.made {
                Some(made) if has_key => report_missing_database(serve, made, &key),
                // Nothing was signed before a first start that failed.
                None if !has_key && keys.older.is_empty() && !opened.is_empty => {
                    report_missing_key(serve, &key);
                }
                _ => {}
            }
            keys.push = read_or_create_key(&directory.join(PUSH_KEY), Key::Push)?;
            Box::new(opened.store)
        }
    };
    let (token, token_file) = sources.read_or_create()?;
    let token_file = token_file.map(|file| std::path::absolute(&file).unwrap_or(file));
    Ok(Kept { directory, token, token_file, keys, store })
}

/// The files of keys that a relay signed with before, newest first. To have it sign with a new key, its
/// owner renames the one in use to the first of these (`signing-key.1`), and the others to the next.
pub(super) fn older_keys(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let file = |number| directory.join(format!("{SIGNING_KEY}.{number}"));
    (1..MAX_SIGNING_KEYS).map(file).filter(|file| file.exists())
}

/// Part of what a relay keeps is not there: it was removed, or it is on a disk that is not mounted.
fn report_missing_database(serve: &Serve, made: &Made, key: &Path) {
    let (path, key) = (made.path.display(), key.display());
    let log = made.orphaned_log.as_ref().map_or_else(String::new, |log| {
        let log = log.display();
        format!(" Put what was committed last back beside it: {log} as {path}-wal.")
    });
    let words = format_args!(
        "{path} is missing, although {key} shows that a relay has kept sessions here. This relay \
         starts without any session: workers will end the agents that they run for it. If you did \
         not remove the file on purpose, stop this relay now, put the file back, or use a backup \
         with --data, and start it again.{log}"
    );
    event_log(serve).write(Level::Error, "data_missing", &[], words);
}

fn report_missing_key(serve: &Serve, key: &Path) {
    let words = format_args!(
        "{} is missing beside the sessions that it belongs to: made a new one. Running workers \
         register again by themselves. If you did not remove the file on purpose, look for what \
         else is missing, and put it back",
        key.display()
    );
    event_log(serve).write(Level::Error, "signing_key_missing", &[], words);
}

fn report_salvaged(serve: &Serve, salvaged: &Salvaged) {
    let Salvaged { damaged, sessions, sessions_lost, events_lost, is_unreadable } = salvaged;
    let found = match (is_unreadable, sessions_lost) {
        (true, _) => "nothing of it can be read, and all sessions are lost".to_owned(),
        (false, 0) => {
            format!("{sessions} sessions were recovered, of whose events {events_lost} are lost")
        }
        (false, _) => format!(
            "{sessions} sessions were recovered, of whose events {events_lost} are lost; at least \
             {sessions_lost} sessions are lost as a whole"
        ),
    };
    let words = format_args!(
        "the data was damaged: {found}; the damaged file is {}, for whoever can read more of it",
        damaged.display()
    );
    event_log(serve).write(Level::Error, "data_damaged", &[], words);
}

pub(super) fn default_directory(sources: &Sources) -> Result<PathBuf, Error> {
    let state = sources.state_directory();
    state.map(|state| state.join(RELAY)).ok_or_else(|| {
        Error::usage(
            "nowhere to keep sessions because HOME is not set: name a directory with --data, or use --in-memory",
        )
    })
}
