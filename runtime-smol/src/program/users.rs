//! `footbridge relay user`: the people who use a relay besides whom it runs for.
//!
//! Each has a file in the relay's data directory, with their access token in it and nothing else. Its name
//! is that of their account: the person's, a dot, and digits that nobody else had who was called so. A relay
//! that runs takes up a change within a second. The file of an account that was removed stays, empty and
//! under another ending, so that a relay which did not run then ends what belongs to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use footbridge_cli::exit::Error;
use footbridge_cli::token::{make_token, read_token};
use footbridge_cli::{print, random_hex};
use footbridge_core::relay::{AccessToken, RelayCommand};
use smol::Timer;

use super::args::user::{Change, PERSON, User};
use super::data::{self, SIGNING_KEY, USERS};
use super::oidc;

/// How the files of those end who were removed.
const GONE: &str = "gone";
/// How the files of those end that are being written.
pub(super) const UNFINISHED: &str = "new";
/// How soon a relay notices a change.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

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
            let (rest, end) = name.rsplit_once('.').unwrap_or((&name, ""));
            match end {
                GONE => accounts.gone.push(rest.to_owned()),
                // One that is being written, or says as whom a provider knows somebody.
                UNFINISHED | "" | oidc::KNOWN_AS => {}
                _ => accounts.people.push(name),
            }
        }
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

/// The access tokens of the people who may use it, besides whom it runs for.
pub(super) fn tokens(directory: Option<&Path>) -> Result<Vec<AccessToken>, Error> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let accounts = Accounts::of(directory)?;
    let token = |person: String| match read_token(&file(directory, &person)) {
        Ok(token) => token.map(|token| Ok(AccessToken { person, token })),
        Err(error) => Some(Err(error)),
    };
    accounts.people.into_iter().filter_map(token).collect()
}

/// Tells a relay who may use it whenever that changes, and first who no longer may.
pub(super) async fn watch<T>(
    directory: Option<PathBuf>,
    owner: AccessToken,
    tell: impl Fn(RelayCommand),
) -> T {
    let Some(directory) = directory else { return std::future::pending().await };
    let (mut known, mut at_provider) = (None, oidc::people(Some(&directory)).unwrap_or_default());
    loop {
        let accounts = Accounts::of(&directory).ok();
        if accounts.is_some() && accounts != known {
            // A file that cannot be read, or is only now written, is looked at again.
            if let (Some(Accounts { gone, .. }), Ok(others)) = (&accounts, tokens(Some(&directory)))
            {
                let people = [vec![owner.clone()], others].concat();
                tell(RelayCommand::SetPeople { people, gone: gone.clone() });
                known = accounts;
            }
        }
        if let Ok(now) = oidc::people(Some(&directory))
            && now != at_provider
        {
            tell(RelayCommand::SetOidcPeople { people: now.clone() });
            at_provider = now;
        }
        Timer::after(LOOK_AGAIN_AFTER).await;
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
            let own = [PERSON].into_iter();
            let names = own.chain(accounts.people.iter().map(|account| person(account)));
            print(&names.map(|name| format!("{name}\n")).collect::<String>())
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
        let first = tokens(Some(home.path())).expect("read");
        assert_eq!(first.len(), 1);
        ask(Change::Remove("eva".to_owned())).expect("removed");
        ask(Change::Remove("eva".to_owned())).expect_err("there is none");
        add().expect("added");
        let second = tokens(Some(home.path())).expect("read");
        assert_ne!((&first[0].person, &first[0].token), (&second[0].person, &second[0].token));
        let accounts = Accounts::of(home.path()).expect("read");
        assert_eq!(accounts.gone, [first[0].person.clone()]);
        for bad in ["", "owner", "Eva", "a.b", "../x", "a/b"] {
            Change::of(&["add".to_owned(), bad.to_owned()], Vec::new()).expect_err(bad);
        }
    }
}
