//! `footbridge relay credential`: what a worker holds instead of the access token.

use footbridge_cli::args::LogArgs;
use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_cli::secret_file::write_secret;
use footbridge_core::auth::{MAX_CREDENTIAL_NAME_BYTES, worker_credential};
use footbridge_core::base::secret::Secret;

use super::args::{Credential, Data};
use super::data;

/// The name of a credential that was given none.
const NAME: &str = "worker";

/// Signs a credential with the access token, and prints it, or writes it to a file. The relay need
/// not be running: it recognises what its access token has signed.
pub(super) fn run(make: &Credential) -> Result<(), Error> {
    let Credential { reports, data, name, out } = make;
    let credential = of_worker(&access_token(data, reports)?, name.as_deref().unwrap_or(NAME))?;
    match out {
        Some(path) => write_secret(path, "credential", &credential),
        None => print(&format!("{}\n", credential.reveal())),
    }
}

fn access_token(data: &Data, reports: &LogArgs) -> Result<Secret, Error> {
    let (_, sources) = data::places(data, reports)?;
    Ok(sources.read()?.0)
}

/// The credential of the worker beside a relay, whose machine may have any name.
pub(super) fn of_up(access_token: &Secret, machine: &str) -> Result<Secret, Error> {
    let end = machine.floor_char_boundary(MAX_CREDENTIAL_NAME_BYTES);
    let name = machine.get(..end).filter(|name| !name.is_empty());
    of_worker(access_token, name.unwrap_or(NAME))
}

/// The credential of a worker of this name.
fn of_worker(access_token: &Secret, name: &str) -> Result<Secret, Error> {
    worker_credential(access_token, name).ok_or_else(|| {
        Error::usage(format!(
            "cannot make a worker credential: it takes the relay's access token, not another worker credential, and a name of 1 to {MAX_CREDENTIAL_NAME_BYTES} bytes"
        ))
    })
}
