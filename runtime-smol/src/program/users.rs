//! `footbridge relay user`: the people who use a relay besides whom it runs for.
//!
//! Each has a file in the relay's data directory, with their access token in it and nothing else. Its name
//! is that of their account: the person's, a dot, and digits that nobody else had who was called so. A relay
//! that runs takes up a change within a second. The file of an account that was removed stays, empty and
//! under another ending, so that a relay which did not run then ends what belongs to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::token::{make_token, read_token};
use footbridge_cli::value::Level;
use footbridge_cli::{print, random_hex};
use footbridge_core::relay::{AccessToken, RelayCommand};

use super::args::user::{Change, PERSON, User, is_account};
use super::data::{self, SIGNING_KEY, USERS};
use super::oidc;
use super::watch::Watch;

/// How the files of those end who were removed.
const GONE: &str = "gone";
/// How the files of those end that are being written.
pub(super) const UNFINISHED: &str = "new";
/// How soon a relay notices a change of which the kernel does not tell, while there is something to
/// mend, or where no kernel tells.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The same where all is well and the kernel tells, but not of what other machines do.
const LOOK_AT_REST_AFTER: Duration = Duration::from_secs(60);

/// The people who may use a relay besides whom it runs for, and the accounts that are over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Accounts {
    /// The names of the files.
    people: Vec<String>,
    gone: Vec<String>,
}

impl Accounts {
    /// Those in a relay's data directory.
    fn of(directory: &Path) -> Result<Self, Error> {
        let users = directory.join(USERS);
        let entries = match std::fs::read_dir(&users) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Error::disk(format_args!("cannot read {}", users.display()), &error));
            }
        };
        let mut accounts = Self::default();
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            // Whatever else lies there is nobody's: an editor's copy, a note.
            match name.rsplit_once('.') {
                Some((account, GONE)) if is_account(account) => accounts.gone.push(account.into()),
                _ if is_account(&name) => accounts.people.push(name),
                _ => {}
            }
        }
        // The file of somebody who was removed may be left if the removal was cut short.
        let Self { people, gone } = &mut accounts;
        people.retain(|account| !gone.contains(account));
        accounts.people.sort_unstable();
        accounts.gone.sort_unstable();
        Ok(accounts)
    }

    fn find(&self, name: &str) -> Option<&String> {
        self.people.iter().find(|account| person(account) == name)
    }
}

fn person(account: &str) -> &str {
    account.split_once('.').map_or(account, |(name, _)| name)
}

fn file(directory: &Path, account: &str) -> PathBuf {
    directory.join(USERS).join(account)
}

/// The access tokens of the people who may use it, besides whom it runs for; and what is wrong with the
/// files of others, who may not until it is mended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<AccessToken>,
    pub(super) unusable: Vec<Error>,
}

impl Tokens {
    /// In a relay's data directory.
    pub(super) fn of(directory: Option<&Path>) -> Result<Self, Error> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        Ok(Self::among(directory, &Accounts::of(directory)?))
    }

    fn among(directory: &Path, accounts: &Accounts) -> Self {
        let mut all = Self::default();
        for person in &accounts.people {
            match read_token(&file(directory, person)) {
                Ok(Some(token)) => {
                    all.tokens.push(AccessToken { person: person.clone(), token });
                }
                // It was only now removed.
                Ok(None) => {}
                Err(error) => all.unusable.push(error),
            }
        }
        all
    }
}

/// Says what keeps somebody from using the relay.
pub(super) fn log_unusable(log: EventLog, error: &Error) {
    let words = format_args!("one of the relay's people cannot use it: {error}");
    log.write(Level::Warn, "person_unusable", &[], words);
}

/// Tells a relay who may use it whenever that changes, and first who no longer may.
pub(super) async fn watch<T>(
    directory: Option<PathBuf>,
    owner: AccessToken,
    log: EventLog,
    tell: impl Fn(RelayCommand),
) -> T {
    let Some(directory) = directory else { return std::future::pending().await };
    let mut known: Option<(Accounts, Tokens)> = None;
    let (mut at_provider, mut unusable) = oidc::people(Some(&directory));
    unusable.iter().for_each(|error| log_unusable(log, error));
    let place = directory.join(USERS);
    loop {
        let changes = Watch::begin(&place);
        if let Ok(accounts) = Accounts::of(&directory) {
            let is_settled = known
                .as_ref()
                .is_some_and(|(before, found)| *before == accounts && found.unusable.is_empty());
            // A file that cannot be read, or is only now written, is looked at again.
            if !is_settled {
                let found = Tokens::among(&directory, &accounts);
                let before = known.as_ref().map_or(&[][..], |(_, found)| &found.unusable);
                let new = found.unusable.iter().filter(|error| !before.contains(error));
                new.for_each(|error| log_unusable(log, error));
                let now = (accounts, found);
                if known.as_ref() != Some(&now) {
                    let people = [vec![owner.clone()], now.1.tokens.clone()].concat();
                    tell(RelayCommand::SetPeople { people, gone: now.0.gone.clone() });
                    known = Some(now);
                }
            }
        }
        let (now, wrong) = oidc::people(Some(&directory));
        if now != at_provider {
            tell(RelayCommand::SetOidcPeople { people: now.clone() });
            at_provider = now;
        }
        wrong.iter().filter(|e| !unusable.contains(e)).for_each(|error| log_unusable(log, error));
        unusable = wrong;
        let is_well = known.as_ref().is_some_and(|(_, found)| found.unusable.is_empty())
            && unusable.is_empty();
        let at_most = if is_well { LOOK_AT_REST_AFTER } else { LOOK_AGAIN_AFTER };
        changes.changed(at_most, LOOK_AGAIN_AFTER).await;
    }
}

pub(super) fn run(ask: &User) -> Result<(), Error> {
    let (directory, _) = data::places(&ask.data, &ask.reports)?;
    let directory = directory.ok_or_else(|| {
        Error::usage("a relay with --in-memory has one user: give it a data directory".to_owned())
    })?;
    // Each start of a relay with its data there makes sure of the key.
    if !directory.join(SIGNING_KEY).exists() {
        return Err(Error::local(format!(
            "no relay keeps its data in {}: start it once first, or name its directory with --data, as for the relay",
            directory.display()
        )));
    }
    let accounts = Accounts::of(&directory)?;
    match &ask.change {
        Change::List => {
            let (at_provider, _) = oidc::people(Some(&directory));
            let line = |account: &str| {
                let of_them = at_provider.iter().filter(|known| known.person == account);
                let who: Vec<_> = of_them.map(|known| known.who.clone()).collect();
                let with = match who[..] {
                    [] => String::new(),
                    _ => format!("  (signs in with the provider as {})", oidc::words(&who)),
                };
                format!("{}{with}\n", person(account))
            };
            let accounts = accounts.people.iter().map(String::as_str);
            print(&[PERSON].into_iter().chain(accounts).map(line).collect::<String>())
        }
        Change::Add(name, who)
            if !who.is_empty() && (name == PERSON || accounts.find(name).is_some()) =>
        {
            let account = accounts.find(name).map_or(PERSON, |account| account);
            oidc::note(&directory, account, who)?;
            print(&format!(
                "{name} may sign in with the provider from now on, as {}, and as nobody else.\n",
                oidc::words(who)
            ))
        }
        Change::Add(name, who) => {
            if accounts.find(name).is_some() {
                return Err(Error::usage(format!(
                    "{name} may use this relay already: choose another name"
                )));
            }
            let digits = random_hex::<8>()?;
            let account = format!("{name}.{digits}");
            let path = file(&directory, &account);
            if !who.is_empty() {
                oidc::note(&directory, &account, who)?;
            }
            make_token(&path)?;
            let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            let shown = shown.display();
            let with = match &who[..] {
                [] => String::new(),
                who => format!("They may sign in with the provider, as {}.\n", oidc::words(who)),
            };
            let said = print(&format!(
                "{name} may use this relay. Their access token is in {shown}: hand it to them and to nobody else, or sign them in with\n  footbridge sign-in --token-file {shown}\n{with}"
            ));
            if said.is_err() {
                // Nobody knows of it, and it can be done again.
                oidc::forget(&directory, &account);
                let _ = std::fs::remove_file(&path);
            }
            said
        }
        Change::Remove(name) => {
            let account = accounts.find(name).ok_or_else(|| {
                Error::usage(format!(
                    "nobody called {name} may use this relay: see footbridge relay user list"
                ))
            })?;
            let path = file(&directory, account);
            let failed = |error: std::io::Error| {
                Error::disk(format_args!("cannot remove {}", path.display()), &error)
            };
            // What says that it is over comes first: nothing is forgotten if this ends in between.
            std::fs::File::create(file(&directory, &format!("{account}.{GONE}")))
                .map_err(failed)?;
            oidc::forget(&directory, account);
            std::fs::remove_file(&path).map_err(failed)?;
            print(&format!(
                "{name} may not use this relay any more: their log-ins, browsers and workers end now, or when it starts.\n"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::args::Data;
    use footbridge_cli::args::LogArgs;

    #[test]
    fn a_name_is_never_an_account_that_was_there_before() {
        let home = tempfile::tempdir().expect("a directory");
        let data = Data::In(home.path().to_owned());
        let ask = |change| run(&User { reports: LogArgs::default(), data: data.clone(), change });
        let add = || ask(Change::Add("eva".to_owned(), Vec::new()));
        assert!(add().expect_err("no relay").message.contains("no relay keeps its data in"));
        std::fs::write(home.path().join(SIGNING_KEY), "").expect("written");
        add().expect("added");
        add().expect_err("there is one");
        let tokens = || Tokens::of(Some(home.path())).expect("read").tokens;
        let first = tokens();
        assert_eq!(first.len(), 1);
        ask(Change::Remove("eva".to_owned())).expect("removed");
        ask(Change::Remove("eva".to_owned())).expect_err("there is none");
        add().expect("added");
        let second = tokens();
        assert_ne!((&first[0].person, &first[0].token), (&second[0].person, &second[0].token));
        let accounts = Accounts::of(home.path()).expect("read");
        assert_eq!(accounts.gone, [first[0].person.clone()]);
        for bad in ["", "owner", "Eva", "a.b", "../x", "a/b"] {
            Change::of(&["add".to_owned(), bad.to_owned()], Vec::new()).expect_err(bad);
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_the_trouble_of_one_person_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let account = |name: &str| format!("{name}.0123456789abcdef");
        make_token(&file(home.path(), &account("eva"))).expect("made");
        make_token(&file(home.path(), &account("bob"))).expect("made");
        for foreign in ["notes.txt", ".DS_Store", "eva.0123456789abcdef~", "x.gone", "eva"] {
            std::fs::write(file(home.path(), foreign), "x").expect("written");
        }
        let bobs = file(home.path(), &account("bob"));
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&bobs, mode).expect("readable by all");
        let Tokens { tokens, unusable } = Tokens::of(Some(home.path())).expect("read");
        let people: Vec<_> = tokens.iter().map(|token| token.person.clone()).collect();
        assert_eq!(people, [account("eva")]);
        assert_eq!(unusable.len(), 1);
        assert!(unusable[0].message.contains("chmod 600"), "{:?}", unusable[0]);
        // A removal counts from its first step on.
        std::fs::write(file(home.path(), &format!("{}.gone", account("eva"))), "").expect("gone");
        let accounts = Accounts::of(home.path()).expect("read");
        assert_eq!(accounts.gone, [account("eva")]);
        assert_eq!(accounts.people, [account("bob")]);
    }
}
