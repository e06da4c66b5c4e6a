//! How a refusal of the store is put to a worker.

use crate::relay::http::error::ApiError;
use crate::store::StoreError;

/// How a refusal of the store is put in version 2, to a worker with this run of an agent.
pub(in crate::relay) fn refusal(error: StoreError, run: Option<&str>) -> ApiError {
    match error {
        StoreError::LinkReplaced { run: newer } if run.is_some() && newer.as_deref() == run => {
            ApiError::repeated()
        }
        StoreError::LinkReplaced { .. } => ApiError::superseded(),
        error => error.into(),
    }
}
