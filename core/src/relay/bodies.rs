//! Requests whose body is still to come.
//!
//! Who sent a request, and whether they may, is known from its head. Only then is its body read, for
//! a limited time, and only as much as what people and workers may take up in all allows.

use alloc::collections::BTreeMap;

use super::answering::Answering;
use super::http::authority::Identity;
use super::http::error::ApiError;
use super::http::route::{Route, Sends};
use crate::base::id::OpId;
use crate::base::limits::{
    BODY_GRACE, BODY_RATE, MAX_BODY_BYTES_OF_PEOPLE, MAX_BODY_BYTES_OF_STRANGERS,
    MAX_BODY_BYTES_OF_WORKERS, MAX_FORM_BYTES, MAX_REQUEST_BYTES, MAX_SMALL_BODY_BYTES,
};
use crate::contract::action::Action;
use crate::contract::clients::{Pace, Standing};
use crate::contract::event::{Body, IncomingRequest};
use crate::relay::purpose::Engine;

/// How slowly a body may come.
const BODY_PACE: Pace = Pace { grace: BODY_GRACE, bytes_per_second: BODY_RATE };

/// A request that was admitted.
pub(super) struct Admitted {
    pub(super) request: IncomingRequest,
    pub(super) route: Route,
    pub(super) identity: Identity,
    pub(super) sends: Sends,
    pub(super) answering: Answering,
}

/// Admitted requests until their body is there, and what bodies take up until they are answered.
#[derive(Default)]
pub(super) struct Bodies {
    waiting: BTreeMap<OpId, Admitted>,
    reserved: BTreeMap<OpId, (Standing, usize)>,
    people: usize,
    workers: usize,
    strangers: usize,
}

impl Bodies {
    /// Asks for the body of an admitted request.
    pub(super) fn read(
        &mut self,
        engine: &mut Engine,
        op: OpId,
        admitted: Admitted,
        length: Option<u64>,
    ) -> Result<(), ApiError> {
        let max_body = largest(&admitted.route);
        let length =
            length.map_or(max_body, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if length > max_body {
            return Err(ApiError::body_too_large());
        }
        let standing = admitted.identity.standing();
        let (taken, limit) = match standing {
            Standing::Person => (&mut self.people, MAX_BODY_BYTES_OF_PEOPLE),
            Standing::Worker => (&mut self.workers, MAX_BODY_BYTES_OF_WORKERS),
            Standing::Stranger => (&mut self.strangers, MAX_BODY_BYTES_OF_STRANGERS),
        };
        if *taken + length > limit {
            return Err(ApiError::unavailable());
        }
        *taken += length;
        self.reserved.insert(op, (standing, length));
        self.waiting.insert(op, admitted);
        engine.fx.act(op, |op| Action::ReadBody { op, max_body, pace: BODY_PACE });
        Ok(())
    }

    /// A body is there. Returns its request, which is complete.
    pub(super) fn arrived(&mut self, op: OpId, body: Body) -> Option<Admitted> {
        let mut admitted = self.waiting.remove(&op)?;
        admitted.request.body = body;
        Some(admitted)
    }

    /// A request was answered, or its client has left.
    pub(super) fn over(&mut self, op: OpId) {
        self.waiting.remove(&op);
        let Some((standing, length)) = self.reserved.remove(&op) else { return };
        match standing {
            Standing::Person => self.people -= length,
            Standing::Worker => self.workers -= length,
            Standing::Stranger => self.strangers -= length,
        }
    }

    /// The requests whose body is still to come.
    pub(super) fn waiting(&self) -> impl Iterator<Item = OpId> {
        self.waiting.keys().copied()
    }
}

/// The largest body of a request.
const fn largest(route: &Route) -> usize {
    match route {
        Route::Messages(_) | Route::Permission(_) | Route::Callback(_) | Route::WorkerEvents(_) => {
            MAX_REQUEST_BYTES
        }
        Route::BeginLogIn | Route::Token | Route::GiveBack => MAX_FORM_BYTES,
        _ => MAX_SMALL_BODY_BYTES,
    }
}
