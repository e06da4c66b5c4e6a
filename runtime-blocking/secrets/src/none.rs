//! Where there is no keyring to be had.

use crate::KeyringError;

const WHY: KeyringError =
    if cfg!(feature = "keyring") { KeyringError::Missing } else { KeyringError::NotBuilt };

pub(crate) const fn load(_: &str) -> Result<Option<Vec<u8>>, KeyringError> {
    Err(WHY)
}

pub(crate) const fn save(_: &str, _: &[u8]) -> Result<(), KeyringError> {
    Err(WHY)
}

pub(crate) const fn remove(_: &str) -> Result<(), KeyringError> {
    Err(WHY)
}
