//! The line of JSON that a program prints to standard output when it is ready.

use serde::Serialize;

use crate::exit::Error;

/// The line that `--json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Ready<'a> {
    /// The relay's address, for `--relay`.
    pub url: &'a str,
    /// The page's address, with a code in its fragment that signs one browser in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<&'a str>,
    /// The file of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<&'a str>,
    /// Address and port that the relay listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<&'a str>,
    /// The environment that the worker has registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<&'a str>,
}

impl Ready<'_> {
    /// Prints the line.
    pub fn print(&self) -> Result<(), Error> {
        let line = serde_json::to_string(self)
            .map_err(|error| Error::local(format!("cannot write JSON: {error}")))?;
        crate::print(&(line + "\n"))
    }
}
