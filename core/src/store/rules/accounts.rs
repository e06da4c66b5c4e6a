//! What ends with an account (Y-1).

use super::cx::{Answered, Cx};
use super::{devices, environments, pushes};
use crate::store::committed::Answer;
use crate::store::record::AccountId;
use crate::store::tables::Tables;

pub(super) fn end<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Answered {
    devices::end_all(cx, owner)?;
    environments::remove_all(cx, owner)?;
    pushes::remove_all(cx, owner)?;
    Ok(Answer::Done)
}
