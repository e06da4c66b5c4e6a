//! The program `footbridge`: parses its command line, builds machines, and runs them.
//!
//! Each command has a file of the same name. No protocol decisions are made here.

mod agent;
mod answer_link;
mod args;
mod assets;
mod attach;
mod audit;
mod backup;
mod certified;
mod chat;
mod check;
mod config;
mod credential;
mod data;
mod direct;
mod drawn;
mod help;
mod invitation;
mod log_in;
mod mirror;
mod oidc;
#[cfg(feature = "tls")]
mod own_certificate;
mod peers;
mod presented;
mod pressed;
mod printed;
mod question;
mod ready;
mod reference;
mod relay;
mod relay_log;
mod relay_status;
mod runtime_directory;
mod service;
mod settings;
mod sign_in;
mod signals;
mod terminal;
mod topic;
mod typed;
mod up;
mod users;
mod watch;
mod watchdog;
mod whereabouts;
mod work;

use std::process::ExitCode;

use args::Invocation;
use footbridge_cli::exit::{Error, conclude};
use footbridge_cli::print;
use footbridge_cli::value::Format;

/// Runs the program until it exits.
pub(crate) fn main() -> ExitCode {
    let environment: Vec<_> = std::env::vars_os().collect();
    let mut line = std::env::args_os();
    let name = line.next();
    let line: Vec<_> = line.collect();
    let line = args::attach::as_agent(name.as_deref(), &line, &environment).unwrap_or(line);
    let is_chat_host = chat::is_host(name.as_deref());
    let invocation = args::parse(line, &environment);
    let format = invocation.as_ref().map_or(Format::Text, Invocation::format);
    conclude(
        "footbridge",
        format,
        invocation.and_then(|asked| match asked {
            Invocation::Chat(ask) => chat::run(ask, is_chat_host),
            asked => run(asked, &environment),
        }),
    )
}

fn run(invocation: Invocation, environment: &args::Environment) -> Result<(), Error> {
    match invocation {
        Invocation::Help(topic) => print(&help::text(topic)),
        Invocation::Version => print(concat!("footbridge ", env!("CARGO_PKG_VERSION"), "\n")),
        Invocation::Up { serve, work } => up::run(&serve, &work),
        Invocation::Relay { serve } => relay::run(&serve),
        Invocation::Work { relay, reach, work, is_check: true } => {
            check::run(&relay, &reach, &work)
        }
        Invocation::Work { relay, reach, work, is_check: false } => work::run(&relay, &reach, work),
        Invocation::SignIn(ask) => sign_in::run(&ask),
        Invocation::LogIn(ask) => log_in::log_in(&ask),
        Invocation::LogOut(ask) => log_in::log_out(&ask),
        Invocation::WhoAmI(ask) => log_in::who_am_i(&ask),
        Invocation::Devices(ask) => log_in::devices(&ask),
        Invocation::Audit(ask) => audit::run(&ask),
        Invocation::Credential(make) => credential::run(&make),
        Invocation::User(ask) => users::run(&ask),
        Invocation::Direct(args) => direct::run(args),
        Invocation::Peers(args::peers::Peers::Ps { is_json }) => peers::ps::run(is_json),
        Invocation::Peers(args::peers::Peers::Send { address, text, reach }) => {
            peers::send::run(&address, &text, &reach, environment)
        }
        Invocation::Peers(args::peers::Peers::Mcp { reach }) => {
            peers::mcp::run(&reach, environment)
        }
        Invocation::Mirror(args) => mirror::run(&args),
        Invocation::Backup(args) => backup::run(&args),
        Invocation::Config(inquiry) => config::run(&inquiry),
        Invocation::Agent(args) => agent::run(args),
        Invocation::Attach(ask) => attach::run(ask),
        Invocation::AnswerLink(ask) => answer_link::run(ask),
        Invocation::Chat(ask) => chat::run(ask, false),
        Invocation::Completions(shell) => reference::print_completions(shell),
        Invocation::Man(page) => reference::print_man(page),
        Invocation::Service(args) => service::run(&args, environment),
    }
}
