//! `footbridge service`: what a service manager has to know to run a relay or a worker.

mod definition;
mod manager;
mod openrc;
mod procd;
mod systemd;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_cli::value::Kind;
use footbridge_cli::{print, regular_file};
use rustix::process::geteuid;

use self::definition::{MARK, Owner, Role, Service, User};
use self::manager::Manager;
use super::args::service::{Action, ServiceArgs};
use super::args::{self, Data, Environment, Invocation};
use super::settings::Setting;

/// Bytes of a definition that is there.
const MOST: u64 = 1 << 20;

/// What is to be defined, and for whom.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    manager: Manager,
    service: Service,
}

pub(super) fn run(args: &ServiceArgs, environment: &Environment) -> Result<(), Error> {
    let Request { manager, service } = request(args, environment)?;
    let text = definition(manager, &service);
    match args.action {
        Action::Print => print(&text),
        Action::Install => install(manager, &service, &text),
    }
}

fn definition(manager: Manager, service: &Service) -> String {
    match manager {
        Manager::Systemd => systemd::unit(service),
        Manager::OpenRc => openrc::script(service),
        Manager::Procd => procd::script(service),
    }
}

fn request(given: &ServiceArgs, environment: &Environment) -> Result<Request, Error> {
    let manager = match &given.manager {
        Some(name) => Manager::parse(name)?,
        None => Manager::of_this_machine(),
    };
    if given.is_system == Some(false) && manager != Manager::Systemd {
        return Err(Error::usage(
            "--user: only systemd has services of yours; leave it out for a service of the system, with --run-as USER for who it runs as",
        ));
    }
    let is_system = given.is_system.unwrap_or_else(|| geteuid().is_root());
    let is_system = is_system || manager != Manager::Systemd;
    // The service does not have the variables of whoever describes it.
    let is_other = |(name, _): &&(OsString, OsString)| {
        !name.to_str().is_some_and(|name| name.starts_with("FOOTBRIDGE_"))
    };
    let environment: Vec<_> = environment.iter().filter(is_other).cloned().collect();
    let (role, name) = match args::parse(given.line.clone(), &environment)? {
        Invocation::Relay { serve } => {
            let data = match &serve.data {
                Data::In(directory) => Some(absolute(directory)?),
                Data::Default | Data::InMemory => None,
            };
            let is_port_low = (1..1024).contains(&serve.listen.port());
            (Role::Relay { data, is_port_low }, "footbridge-relay")
        }
        Invocation::Work { work, is_check: false, .. } => (Role::worker(&work)?, "footbridge-work"),
        Invocation::Up { work, .. } => (Role::worker(&work)?, "footbridge-up"),
        _ => return Err(Error::usage("a service runs up, relay or work")),
    };
    let owner = match is_system {
        false if given.run_as.is_some() => {
            return Err(Error::usage(
                "--run-as: a service of yours runs as you; with --system it is one of the system",
            ));
        }
        false => Owner::Person,
        true => Owner::System(user(given, &role)?),
    };
    let program = match &given.program {
        Some(program) => absolute(program)?,
        None => std::env::current_exe().map_err(|error| {
            Error::local(format!(
                "cannot find the path of this program ({error}); give it with --program"
            ))
        })?,
    };
    let mut args = given.line.iter().cloned().map(in_text).collect::<Result<Vec<_>, _>>()?;
    from_anywhere(&mut args)?;
    // The small program has one command only, and no word for it.
    if program.file_name().is_some_and(|name| name == "footbridge-worker") {
        if args[0] != "work" {
            return Err(Error::usage("footbridge-worker does only what footbridge work does"));
        }
        args.remove(0);
    }
    let name = given.unit.clone().unwrap_or_else(|| name.to_owned());
    let program = in_text(program.into())?;
    let path = manager::search_path(std::env::var_os("PATH"));
    let service = Service { name, role, program, args, owner, path };
    Ok(Request { manager, service })
}

fn user(given: &ServiceArgs, role: &Role) -> Result<User, Error> {
    let usual = match role {
        Role::Relay { .. } => Some("footbridge".to_owned()),
        Role::Worker { .. } => manager::person(),
    };
    let name = given.run_as.clone().or(usual).ok_or_else(|| {
        Error::usage(
            "say with --run-as USER who the agents of this worker should be: not root, who may do everything",
        )
    })?;
    User::named(name)
}

impl Role {
    fn worker(work: &footbridge_cli::args::Work) -> Result<Self, Error> {
        let directory = absolute(work.directory.as_deref().unwrap_or(Path::new(".")))?;
        // Agents get their time, and then results are reported.
        let stops_within = work.shutdown_grace.as_secs().saturating_add(60);
        Ok(Self::Worker { directory, stops_within })
    }
}

/// Writes the definition, and says what makes it run: to start it is its owner's decision.
fn install(manager: Manager, service: &Service, text: &str) -> Result<(), Error> {
    if let Owner::System(user) = &service.owner {
        user.require()?;
    }
    let place = manager.place(service)?;
    let shown = place.display();
    let there = match regular_file::read(&place, MOST) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Ok(there) if there.contains(MARK) => Some(there),
        other => {
            let why = other.err().map_or_else(String::new, |error| format!(" ({error})"));
            return Err(Error::local(format!(
                "{shown} is there and was not made by footbridge service{why}: move it away, or choose another name with --unit"
            )));
        }
    };
    let cannot = |error| Error::disk(format_args!("cannot write {shown}"), &error);
    let parent = place.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(cannot)?;
    let new = parent.join(format!(".{}.{}.new", service.name, std::process::id()));
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        file.set_permissions(fs::Permissions::from_mode(manager.mode()))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &place)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(cannot(error));
    }
    let did = match there {
        None => format!("wrote {shown}"),
        Some(there) if there == text => format!("wrote {shown}, as it was already"),
        Some(_) => format!(
            "replaced {shown}, which had other options: a service that is running has them until it is restarted; for a second service, choose another name with --unit"
        ),
    };
    print(&format!("{did}\n{}", manager.next_steps(service)))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path)
        .map_err(|error| Error::local(format!("the path {}: {error}", path.display())))
}

/// Makes the paths among the arguments absolute: a service starts somewhere else.
fn from_anywhere(args: &mut [String]) -> Result<(), Error> {
    let is_path = |flag: &str| {
        let name = flag.strip_prefix("--")?;
        let is_path = Setting::of_flag(name).is_some_and(|setting| setting.kind == Kind::Path);
        Some(is_path || name == "config")
    };
    for at in 1..args.len() {
        if let Some((flag, value)) = args[at].split_once('=') {
            if is_path(flag) == Some(true) {
                args[at] = format!("{flag}={}", in_text(absolute(Path::new(value))?.into())?);
            }
        } else if is_path(&args[at - 1]) == Some(true) {
            args[at] = in_text(absolute(Path::new(&args[at]))?.into())?;
        }
    }
    Ok(())
}

fn in_text(word: OsString) -> Result<String, Error> {
    let word = word
        .into_string()
        .map_err(|word| Error::usage(format!("{} is not UTF-8", word.display())))?;
    if word.contains(char::is_control) {
        return Err(Error::usage(format!("{word:?} cannot be written in a service's definition")));
    }
    Ok(word)
}
