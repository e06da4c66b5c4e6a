//! The keyring of the Linux kernel (keyrings(7), persistent-keyring(7)).
//!
//! Only who *possesses* a key may read it. A thread comes to possess those of its user's persistent
//! keyring by a link to it from a keyring of its own, which no other thread and no child inherits; so
//! each call begins with that. It also begins the time anew in which the kernel keeps what is unused.

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};

use crate::KeyringError;

/// What system calls answer that do not exist.
const ENOSYS: i32 = 38;
/// A socket's word for what is not supported, which is Linux's for a kernel without such keyrings.
const EOPNOTSUPP: i32 = 95;

fn keyring() -> Result<KeyRing, KeyringError> {
    KeyRing::get_persistent(KeyRingIdentifier::Thread).map_err(why)
}

fn find(keyring: KeyRing, description: &str) -> Result<Option<Key>, KeyringError> {
    match keyring.search(description) {
        Ok(key) => Ok(Some(key)),
        Err(error) => gone(error),
    }
}

/// What has run out or was revoked is no longer there.
fn gone<T>(error: KeyError) -> Result<Option<T>, KeyringError> {
    match error {
        KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked => Ok(None),
        error => Err(why(error)),
    }
}

pub(crate) fn load(description: &str) -> Result<Option<Vec<u8>>, KeyringError> {
    let Some(key) = find(keyring()?, description)? else { return Ok(None) };
    match key.read_to_vec() {
        Ok(secret) => Ok(Some(secret)),
        Err(error) => gone(error),
    }
}

/// A key of the same name in the same keyring gets what is new in one step.
pub(crate) fn save(description: &str, secret: &[u8]) -> Result<(), KeyringError> {
    keyring()?.add_key(description, secret).map(|_| ()).map_err(why)
}

pub(crate) fn remove(description: &str) -> Result<(), KeyringError> {
    let keyring = keyring()?;
    let Some(key) = find(keyring, description)? else { return Ok(()) };
    match keyring.unlink_key(key) {
        // Somebody else was faster.
        Ok(()) | Err(KeyError::MissingFileOrDirectory | KeyError::KeyDoesNotExist) => Ok(()),
        Err(error) => Err(why(error)),
    }
}

const fn why(error: KeyError) -> KeyringError {
    match error {
        KeyError::AccessDenied | KeyError::PermissionDenied => KeyringError::Denied,
        KeyError::QuotaExceeded => KeyringError::Full,
        KeyError::OperationNotSupported | KeyError::Unknown(ENOSYS | EOPNOTSUPP) => {
            KeyringError::Missing
        }
        KeyError::InvalidArguments => KeyringError::Other(22),
        KeyError::OutOfMemory => KeyringError::Other(12),
        KeyError::KeyDoesNotExist => KeyringError::Other(126),
        KeyError::KeyExpired => KeyringError::Other(127),
        KeyError::KeyRevoked => KeyringError::Other(128),
        KeyError::Unknown(number) => KeyringError::Other(number),
        _ => KeyringError::Other(0),
    }
}
