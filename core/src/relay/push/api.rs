//! What pages ask about notifications.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use serde::Deserialize;

use super::delivery::service_of;
use super::endpoint::Endpoint;
use super::seal::Browser;
use super::{Push, id_of};
use crate::base::id::OpId;
use crate::base::limits::{MAX_MUTED_MACHINES, MAX_NAME_BYTES};
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{body, bounded};
use crate::relay::http::response;
use crate::relay::http::route::Route;
use crate::relay::pending::{Pending, ViewerCall};
use crate::store::{AccountId, PushSignIn, PushSubscription, StoreOp};
use crate::wire::push::{PushKey, PushList, PushPost, PushPreferences, PushView};

/// Whether a request is about notifications.
pub(in crate::relay) const fn is_route(route: &Route) -> bool {
    matches!(
        route,
        Route::PushKey | Route::Pushes | Route::AddPush | Route::RemovePush(_) | Route::TestPush(_)
    )
}

/// A person's call about their notifications.
pub(in crate::relay) fn serve(
    push: &Push,
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    route: Route,
    owner: AccountId,
) -> Result<(), ApiError> {
    match route {
        Route::PushKey => {
            let key = Cow::Borrowed(push.public_key());
            cx.reply(op, response::json(200, &PushKey { key }));
        }
        Route::Pushes => {
            cx.store(
                Pending::ViewerCall { op, call: ViewerCall::Pushes },
                StoreOp::ListPushes { owner },
            );
        }
        Route::AddPush => {
            let subscription = Box::new(subscription(cx, op, request, owner)?);
            let call = ViewerCall::Push;
            cx.store(Pending::ViewerCall { op, call }, StoreOp::AddPush { subscription });
        }
        Route::RemovePush(id) => {
            let call = ViewerCall::PushRemoved;
            cx.store(Pending::ViewerCall { op, call }, StoreOp::RemovePush { owner, id });
        }
        Route::TestPush(id) => {
            #[derive(Deserialize)]
            struct Test {
                #[serde(default)]
                nonce: String,
            }
            let Test { nonce } = body(request)?;
            bounded("nonce", &nonce, MAX_NONCE_BYTES)?;
            cx.store(Pending::PushTest { op, id, nonce }, StoreOp::ListPushes { owner });
        }
        _ => return Err(ApiError::forbidden()),
    }
    Ok(())
}

/// Longest text that a test repeats, in bytes.
const MAX_NONCE_BYTES: usize = 64;

fn subscription(
    cx: &Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<PushSubscription, ApiError> {
    let PushPost { endpoint, keys, name, preferences } = body(request)?;
    Endpoint::parse(&endpoint, cx.shared.config.push_reach).map_err(ApiError::invalid)?;
    let bad_keys = || ApiError::invalid("the keys are not those of a browser's push subscription");
    Browser::of(&keys).ok_or_else(bad_keys)?;
    bounded("name", &name, MAX_NAME_BYTES)?;
    check(&preferences)?;
    let id = id_of(&owner.0, &endpoint).ok_or_else(ApiError::unavailable)?;
    let device = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let sign_in = device.map_or_else(
        || cx.shared.authority.push_sign_in(request, &owner),
        |device| Some(PushSignIn::Device(device)),
    );
    let sign_in = sign_in.ok_or_else(ApiError::forbidden)?;
    let created_at = cx.wall();
    Ok(PushSubscription { id, owner, sign_in, name, endpoint, keys, preferences, created_at })
}

fn check(preferences: &PushPreferences) -> Result<(), ApiError> {
    if preferences.quiet.is_some_and(|quiet| !quiet.is_proper()) {
        let words =
            "quiet hours are in minutes since midnight, and the offset in minutes east of UTC";
        return Err(ApiError::invalid(words));
    }
    if preferences.muted.len() > MAX_MUTED_MACHINES {
        return Err(ApiError::invalid("too many machines are muted: take some out"));
    }
    preferences.muted.iter().try_for_each(|name| bounded("a machine's name", name, MAX_NAME_BYTES))
}

/// A subscription, or several, as an answer.
pub(in crate::relay) fn response(pushes: &[PushSubscription], is_list: bool) -> Response {
    let view = |push: &PushSubscription| PushView {
        id: push.id.clone(),
        name: Cow::Owned(push.name.clone()),
        service: Cow::Owned(service_of(&push.endpoint)),
        preferences: Cow::Owned(push.preferences.clone()),
        created_at: push.created_at,
    };
    match pushes {
        [one] if !is_list => response::json(200, &view(one)),
        all => response::json(200, &PushList { subscriptions: all.iter().map(view).collect() }),
    }
}
