//! The command line of `footbridge service`: its own options, then the command that the service runs.

use std::ffi::OsString;
use std::path::PathBuf;

use footbridge_cli::args::text;
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use lexopt::{Arg, Parser, ValueExt};

use crate::program::topic::Topic;

/// What to do with the definition of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Action {
    Print,
    Install,
}

/// A request for the definition of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct ServiceArgs {
    pub(in crate::program) action: Action,
    /// Whether it is the system's, if that is said.
    pub(in crate::program) is_system: Option<bool>,
    pub(in crate::program) manager: Option<String>,
    pub(in crate::program) run_as: Option<String>,
    /// The program to run, if it is not this one.
    pub(in crate::program) program: Option<PathBuf>,
    pub(in crate::program) unit: Option<String>,
    /// The command that it runs, with its options.
    pub(in crate::program) line: Vec<OsString>,
}

/// Reads what follows `footbridge service`; `None` if it asks for help.
pub(super) fn parse(parser: &mut Parser) -> Result<Option<ServiceArgs>, Error> {
    let mut action = None;
    let (mut is_system, mut manager, mut run_as) = (None, None, None);
    let (mut program, mut unit) = (None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("user") => is_system = Some(false),
            Arg::Long("system") => is_system = Some(true),
            Arg::Long("manager") => manager = Some(text(parser)?),
            Arg::Long("run-as") => run_as = Some(name("--run-as", text(parser)?)?),
            Arg::Long("program") => program = Some(parser.value()?.into()),
            Arg::Long("unit") => unit = Some(name("--unit", text(parser)?)?),
            Arg::Long(name) => {
                let advice = match nearest(name, Topic::Service.own_options().iter().copied()) {
                    Some(near) => format!("did you mean --{near}?"),
                    None => "options of the command that it runs follow that command".to_owned(),
                };
                return Err(Error::usage(format!("unknown option --{name}; {advice}")));
            }
            Arg::Value(command) => {
                let Some(action) = action else {
                    action = Some(self::action(&command.string()?)?);
                    continue;
                };
                let line = [command].into_iter().chain(parser.raw_args()?).collect();
                let args = ServiceArgs { action, is_system, manager, run_as, program, unit, line };
                return Ok(Some(args));
            }
            Arg::Short(_) => return Err(arg.unexpected().into()),
        }
    }
    Err(Error::usage(
        "footbridge service needs what to do and the command to run, such as footbridge service print relay or footbridge service install work --relay URL",
    ))
}

fn action(word: &str) -> Result<Action, Error> {
    match word {
        "print" => Ok(Action::Print),
        "install" => Ok(Action::Install),
        _ => Err(Error::usage(format!(
            "footbridge service {word}: use footbridge service print or footbridge service install"
        ))),
    }
}

/// A name that is the same in every service manager and file system.
fn name(flag: &str, name: String) -> Result<String, Error> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins_well && name.chars().all(is_good) && name.len() <= 64 {
        return Ok(name);
    }
    Err(Error::usage(format!("{flag}: {name:?} is not a name of letters, digits, - and _")))
}
