//! Routes each request to the part that serves it, and each store answer to the part that asked.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::answering::Answering;
use super::bodies::Admitted;
use super::cx::{Cx, Shared};
use super::device_tokens::AccessClaims;
use super::devices::Acting;
use super::fanout;
use super::guesses::Guess;
use super::http::authority::{Denial, Identity};
use super::http::error::ApiError;
use super::http::request::{check, client_of, is_handshake, require_websocket};
use super::http::route::{self, Route, RouteError, Sends};
use super::http::{assets, response};
use super::parts::Parts;
use super::pending::{CodeCall, Noted, Pending, ViewerCall};
use super::{
    answer_links, code_sessions, links, oauth, oidc, people, push, sign_in, stopping, trust,
    viewer_api, worker_api,
};
use crate::base::id::OpId;
use crate::base::limits::{MAX_REQUEST_HEAD_BYTES, MAX_STORE_OPERATIONS_FOR_STRANGERS};
use crate::contract::action::Action;
use crate::contract::clients::Standing;
use crate::contract::event::{Body, IncomingRequest, IoError};
use crate::relay::streams::viewers;
use crate::store::{Answer, StoreError, StoreOp};
use crate::wire::device::Scope;
use crate::wire::error::ErrorType;
use crate::wire::health::{Health, Version};
use crate::wire::housekeeping::Housekeeping;
use crate::wire::proof::Proof;

pub(super) fn on_request(parts: &mut Parts, cx: &mut Cx, op: OpId, request: IncomingRequest) {
    let client = client_of(&request, cx.shared.config.is_behind_proxy);
    cx.shared.exchanges.arrived(op, request.method, path_of(&request), client);
    if cx.is_stopping() {
        cx.refuse(op, &ApiError::unavailable());
    } else if let Err(error) = admit(parts, cx, op, request, client) {
        cx.refuse(op, &error);
    }
}

fn path_of(request: &IncomingRequest) -> &str {
    request.target.split_once('?').map_or(&*request.target, |(path, _)| path)
}

/// Decides from the head of a request alone who sent it, and whether they may.
fn admit(
    parts: &mut Parts,
    cx: &mut Cx,
    op: OpId,
    request: IncomingRequest,
    client: IpAddr,
) -> Result<(), ApiError> {
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len());
    if request.target.len() + headers.sum::<usize>() > MAX_REQUEST_HEAD_BYTES {
        let message = "the request's path and headers are longer than this relay takes";
        return Err(ApiError::new(413, ErrorType::TooLarge, message));
    }
    cx.shared.site.check(&request)?;
    check(&request)?;
    let path = path_of(&request);
    let (route, row) = route::find(request.method, path).map_err(|error| match error {
        RouteError::Path => ApiError::new(404, ErrorType::NotFound, "there is no such path here"),
        RouteError::Method => {
            let message = "the path exists, but not with this method";
            ApiError::new(405, ErrorType::MethodNotAllowed, message)
        }
        RouteError::Id(error) => error.into(),
    })?;
    if matches!(route, Route::Ingress(_)) && is_handshake(&request) {
        // Before the credential: whoever tries whether WebSockets get through has none.
        require_websocket(&request)?;
    }
    let identity = match cx.shared.authority.admit(&request, &route, row.access, cx.wall()) {
        Ok(identity) => identity,
        Err(denial) => return deny(cx, op, &route, denial, client),
    };
    if let Some((kind, id)) = identity.actor() {
        cx.shared.exchanges.acts(op, kind, id);
    }
    let sends = row.sends;
    if let Some(owner) = identity.owner() {
        cx.shared.devices.belongs(op, owner.clone());
    }
    if let Identity::Device(claims) = identity {
        // What is signed says who it was; only the store knows whether it was revoked since.
        let AccessClaims { owner, device, scopes, epoch, .. } = claims;
        let check = StoreOp::CheckDevice { id: device.clone(), epoch };
        let answering = match scopes.allow(Scope::Answer) {
            true => Answering::Allowed,
            false => Answering::NotGranted,
        };
        let identity = Identity::Account(owner);
        let admitted = Admitted { request, route, identity, sends, answering };
        cx.shared.devices.begin(op, Acting { device, scopes }, admitted);
        cx.store(Pending::Device { op }, check);
        return Ok(());
    }
    let (identity, answering) = match identity {
        Identity::Browser(owner, claims) => {
            let Shared { config, authority, .. } = &*cx.shared;
            let is_trusted = authority.issuer.is_trusted_browser(&request, &owner, &claims);
            if trust::is_demanded(config.demand_trusted, &route) && !is_trusted {
                return Err(ApiError::elevated(true));
            }
            let answering = Answering::of(config.demand_trusted, is_trusted, true);
            (Identity::Account(owner), answering)
        }
        identity => (identity, Answering::Allowed),
    };
    go_on(parts, cx, op, Admitted { request, route, identity, sends, answering })
}

/// A request is admitted: its body is asked for, if it has one.
fn go_on(parts: &mut Parts, cx: &mut Cx, op: OpId, admitted: Admitted) -> Result<(), ApiError> {
    let standing = admitted.identity.standing();
    if standing != Standing::Stranger {
        cx.engine.fx.act(op, |op| Action::Vouch { op, standing });
    }
    match admitted.request.body {
        Body::Unread { length } if admitted.sends == Sends::Body => {
            cx.shared.bodies.read(cx.engine, op, admitted, length)
        }
        _ => serve(parts, cx, op, admitted),
    }
}

/// The body of an admitted request is there.
pub(super) fn on_body(parts: &mut Parts, cx: &mut Cx, op: OpId, body: Body) {
    let Some(admitted) = cx.shared.bodies.arrived(op, body) else { return };
    if let Err(error) = serve(parts, cx, op, admitted) {
        cx.refuse(op, &error);
    }
}

/// The relay is stopping: it waits for no more bodies.
pub(super) fn refuse_unread(cx: &mut Cx) {
    let waiting: Vec<_> = cx.shared.bodies.waiting().collect();
    for op in waiting {
        cx.refuse(op, &ApiError::unavailable());
    }
}

fn deny(
    cx: &mut Cx,
    op: OpId,
    route: &Route,
    denial: Denial,
    client: IpAddr,
) -> Result<(), ApiError> {
    let refusal = match denial {
        Denial::Refused(refusal) => refusal,
        Denial::Unknown => {
            let now = cx.now();
            let Guess { is_slowed, report } = cx.shared.guesses.wrong(now, client);
            if let Some(report) = report {
                cx.notify(report);
            }
            if is_slowed {
                return Err(ApiError::slowed());
            }
            ApiError::unauthenticated()
        }
    };
    refuse_unless_unknown(cx, op, route, refusal)
}

/// A worker has to learn that the relay no longer knows its environment before it learns that its
/// credential is invalid: only then does it register again. Ids cannot be guessed, so this gives
/// nothing away.
fn refuse_unless_unknown(
    cx: &mut Cx,
    op: OpId,
    route: &Route,
    refusal: ApiError,
) -> Result<(), ApiError> {
    let (environment, session) = route.worker_subjects();
    if environment.is_none() && session.is_none() {
        return Err(refusal);
    }
    if cx.shared.store_calls.under_way() >= MAX_STORE_OPERATIONS_FOR_STRANGERS {
        return Err(ApiError::unavailable());
    }
    let find = StoreOp::Find { environment: environment.cloned(), session: session.cloned() };
    cx.store(Pending::Refuse { op, refusal }, find);
    Ok(())
}

fn serve(parts: &mut Parts, cx: &mut Cx, op: OpId, admitted: Admitted) -> Result<(), ApiError> {
    let Admitted { request, route, identity, answering, .. } = admitted;
    let request = &request;
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    if oauth::is_grant(&route) {
        serve_grant(cx, op, request, &route);
        return Ok(());
    }
    match request.body {
        Body::TooLarge => return Err(ApiError::body_too_large()),
        Body::Malformed => return Err(ApiError::body_malformed()),
        Body::Whole(_) | Body::Unread { .. } => {}
    }
    match (identity, route) {
        (Identity::Anybody, Route::Health) => {
            cx.reply(op, response::json(200, &Health::OK));
            Ok(())
        }
        (Identity::Anybody, Route::Ready) => {
            if cx.shared.store_calls.under_way() >= MAX_STORE_OPERATIONS_FOR_STRANGERS {
                return Err(ApiError::unavailable());
            }
            let now = cx.now();
            match cx.shared.store_calls.proof(now) {
                Ok(prove) => {
                    cx.store(Pending::Ready { op }, prove);
                    Ok(())
                }
                Err(failure) => Err(ApiError::store_failed(Some(&failure), true)),
            }
        }
        (Identity::Anybody, Route::Version) => {
            cx.reply(op, response::json(200, &Version::CURRENT));
            Ok(())
        }
        (Identity::Anybody, Route::Housekeeping) => {
            cx.reply(op, response::json(200, &Housekeeping::CURRENT));
            Ok(())
        }
        (Identity::Anybody, Route::Oidc) => {
            oidc::show(cx, op);
            Ok(())
        }
        (Identity::Anybody, Route::OidcStart) => {
            oidc::start(cx, op, request, query);
            Ok(())
        }
        (Identity::Anybody, Route::OidcBack) => {
            oidc::back(cx, op, request, query);
            Ok(())
        }
        (Identity::Anybody, Route::LogInMetadata) => oauth::metadata(cx, op, request),
        (Identity::Anybody, _) => {
            let asked = request.header("host").filter(|_| request.is_tls);
            let host = cx.shared.site.public_tls_host().or(asked);
            let is_pinned = host.is_some_and(assets::is_its_own);
            let response = assets::serve(&cx.shared.page, request, path, is_pinned)?;
            cx.reply(op, response);
            Ok(())
        }
        (Identity::Asker(proof), _) => {
            cx.reply(op, response::json(200, &Proof { proof }));
            Ok(())
        }
        (Identity::Code(code), _) => sign_in::redeem(cx, op, &code),
        (Identity::Registrar(owner), _) | (Identity::Account(owner), Route::Register) => {
            worker_api::environments::register(cx, op, request, owner)
        }
        (Identity::Worker, Route::WorkStream(environment)) => {
            worker_api::work_streams::open(cx, op, request, query, environment)
        }
        (Identity::Worker, route) => worker_api::serve(cx, op, request, route),
        (Identity::AnswerLink(claims), route) => {
            answer_links::serve(cx, op, request, &route, claims)
        }
        (Identity::Account(owner), Route::PermissionLink(session)) => {
            answer_links::make(cx, op, request, owner, session)
        }
        (Identity::Session(claims), Route::Ingress(session)) => {
            links::attach(cx, op, request, session, &claims)
        }
        (Identity::Session(claims), Route::Bridge(session)) => {
            code_sessions::bridge_item(cx, op, request, session, &claims)
        }
        (Identity::CodeWorker(claims), Route::WorkerStream(session)) => {
            code_sessions::open_stream(cx, op, request, query, session, &claims)
        }
        (Identity::CodeWorker(claims), route) => {
            code_sessions::serve(&mut parts.links, cx, op, request, route, &claims)
        }
        (Identity::Account(owner), Route::CreateCodeSession) => {
            code_sessions::create(cx, op, request, owner)
        }
        (Identity::Account(owner), Route::Bridge(session)) => {
            code_sessions::bridge(cx, op, request, session, owner)
        }
        (Identity::Session(claims), route) => {
            worker_api::serve_lease(cx, op, request, route, &claims)
        }
        (Identity::Account(_), Route::LogIn) => oauth::show(cx, op, query),
        (Identity::Account(owner), Route::AnswerLogIn) => {
            oauth::answer_log_in(cx, op, request, owner)
        }
        (Identity::Account(owner), Route::Devices) => {
            oauth::devices(cx, op, owner);
            Ok(())
        }
        (Identity::Account(owner), Route::RevokeDevice(id)) => {
            oauth::revoke(cx, op, owner, id);
            Ok(())
        }
        (Identity::Account(owner), Route::TrustDevice) => trust::enrol(cx, op, request, owner),
        (Identity::Account(owner), Route::Audit) => oauth::audit(cx, op, query, owner),
        (Identity::Account(owner), Route::WhoAmI) => {
            oauth::who_am_i(cx, op, &owner);
            Ok(())
        }
        (Identity::Device(_) | Identity::Browser(..), _) => Err(ApiError::forbidden()),
        (Identity::Account(account), Route::SignIn) => {
            sign_in::sign_in(cx, op, account);
            Ok(())
        }
        (Identity::Account(account), Route::SignInCodes) => {
            sign_in::issue(cx, op, account);
            Ok(())
        }
        (Identity::Account(owner), Route::Subscribe(session)) => {
            viewers::subscribe(cx, op, request, query, owner, session)
        }
        (Identity::Account(owner), Route::Messages(session)) => {
            let connected = parts.viewers.clients_of(&session);
            let by = viewer_api::messages::Poster { owner, connected, answering };
            viewer_api::messages::post(cx, op, request, by, session)
        }
        (Identity::Account(owner), route) if push::is_route(&route) => {
            push::serve(&parts.push, cx, op, request, route, owner)
        }
        (Identity::Account(owner), Route::Overview) => {
            parts.overviews.watch(cx, op, request, query, owner)
        }
        (Identity::Account(owner), route) => {
            viewer_api::serve(cx, op, request, query, route, owner)
        }
    }
}

/// What a device asks about its tokens; it needs no credential but these.
fn serve_grant(cx: &mut Cx, op: OpId, request: &IncomingRequest, route: &Route) {
    match route {
        Route::BeginLogIn => oauth::begin(cx, op, request),
        Route::Token => oauth::token(cx, op, request),
        _ => oauth::give_back(cx, op, request),
    }
}

/// The store has carried out an operation, or refused it.
pub(super) fn on_answer(
    parts: &mut Parts,
    cx: &mut Cx,
    pending: Pending,
    answer: Result<Answer, StoreError>,
) {
    match pending {
        Pending::Sweep | Pending::ReturnWork | Pending::EndAccount { .. } | Pending::Forgotten => {}
        Pending::Telling(need) => parts.push.on_targets(cx, &need, answer),
        Pending::QuietOver(owner) => parts.push.on_quiet_over(cx, &owner, answer),
        Pending::PushTest { op, id, nonce } => parts.push.on_test(cx, op, (&id, nonce), answer),
        Pending::Refresh { .. } => {
            if let Ok(Answer::Session(session)) = answer {
                fanout::session_changed(parts, cx, &session);
            }
        }
        Pending::Ready { op } => cx.reply(op, response::json(200, &Health::OK)),
        Pending::Device { op } => {
            let Some(mut admitted) = cx.shared.devices.confirmed(op) else { return };
            if let Ok(Answer::Checked { trust }) = &answer
                && admitted.answering == Answering::Allowed
            {
                let is_trusted = is_trusted(cx, op, &admitted, *trust);
                let demanded = cx.shared.config.demand_trusted;
                admitted.answering = Answering::of(demanded, is_trusted, false);
            }
            let gone_on = match answer {
                Ok(_) if cx.is_stopping() => Err(ApiError::unavailable()),
                Ok(Answer::Checked { trust }) if lacks_trust(cx, op, &admitted, trust) => {
                    Err(ApiError::elevated(false))
                }
                Ok(_) => go_on(parts, cx, op, admitted),
                Err(_) => Err(ApiError::revoked()),
            };
            if let Err(error) = gone_on {
                cx.refuse(op, &error);
            }
        }
        Pending::Noted { op, then } => match answer {
            Ok(_) => noted(cx, op, then),
            Err(error) => cx.refuse(op, &error.into()),
        },
        Pending::Token { op, call } => match answer {
            Ok(answer) => oauth::granted(cx, op, call, answer),
            Err(error) => oauth::refused_grant(cx, op, call, &error),
        },
        Pending::Refuse { op, refusal } => {
            cx.refuse(op, &answer.err().map_or(refusal, ApiError::from));
        }
        Pending::UnstoredStop { op, owner } => stopping::on_read(parts, cx, op, owner, answer),
        Pending::StopAgain { session } => cx.shared.stops.stored(&session),
        Pending::WorkerCall { op, call } => match answer {
            Ok(answer) => {
                let response = worker_api::response(cx, call, &answer);
                cx.reply(op, response);
            }
            Err(error) => cx.refuse(op, &error.into()),
        },
        Pending::ViewerCall { op, call } => match answer {
            Ok(answer) => cx.reply(op, viewer_api::response(cx, &call, &answer)),
            Err(error) => cx.refuse(op, &error.into()),
        },
        Pending::Poll { op, claim } => parts.polls.on_answer(cx, op, claim, answer),
        Pending::OpenWork { op, opening } => {
            parts.work_streams.on_opening(cx, op, *opening, answer);
        }
        Pending::Work { op } => parts.work_streams.on_answer(cx, op, answer),
        Pending::Attach { op, attaching } => parts.links.on_attached(cx, op, attaching, answer),
        Pending::Link { op, step } => parts.links.on_answer(cx, op, step, answer),
        Pending::OpenStream { op, opening } => parts.links.on_stream(cx, op, opening, answer),
        Pending::Code { op, call, run } => match answer {
            Ok(answer) => code_sessions::answered(&mut parts.links, cx, op, call, answer),
            Err(error) => cx.refuse(op, &links::refusal::refusal(error, run.as_deref())),
        },
        Pending::Subscribe { op, subscribing } => {
            parts.viewers.on_subscribed(cx, op, subscribing, &answer);
        }
        Pending::Page { op } => parts.viewers.on_page(cx, op, answer),
        Pending::Overview { op } => parts.overviews.on_read(cx, op, answer),
    }
}

/// Whether a device's request takes a trusted one, and it does not show to be that.
fn lacks_trust(cx: &Cx, op: OpId, admitted: &Admitted, trust: Option<u64>) -> bool {
    trust::is_demanded(cx.shared.config.demand_trusted, &admitted.route)
        && !is_trusted(cx, op, admitted, trust)
}

/// Whether a device shows that it is trusted.
fn is_trusted(cx: &Cx, op: OpId, admitted: &Admitted, trust: Option<u64>) -> bool {
    let Shared { authority, devices, .. } = &*cx.shared;
    devices.of(op).zip(trust).is_some_and(|(acting, number)| {
        authority.issuer.is_trusted_device(&admitted.request, &acting.device, number)
    })
}

/// What somebody does has been written down.
fn noted(cx: &mut Cx, op: OpId, then: Noted) {
    let done = match then {
        Noted::Oidc { account, signing_in } => {
            oidc::noted(cx, op, account, &signing_in);
            Ok(())
        }
        Noted::SignIn { account, browser } => sign_in::signed_in(cx, op, &account, &browser),
        Noted::MakeCode { account } => {
            sign_in::issued(cx, op, account);
            Ok(())
        }
        Noted::Decide { user_code, approver } => oauth::decided(cx, op, &user_code, approver),
    };
    if let Err(error) = done {
        cx.refuse(op, &error);
    }
}

/// A store operation failed.
pub(super) fn on_store_failed(
    parts: &mut Parts,
    cx: &mut Cx,
    pending: Pending,
    failure: Option<&IoError>,
) {
    if let Pending::Refresh { owner, session } = pending {
        return parts.refreshes.retry_refresh(cx, owner, session);
    }
    if let Pending::EndAccount { owner } = pending {
        return people::end_later(cx, owner);
    }
    if let Pending::StopAgain { .. } = pending {
        return stopping::on_failed_again(cx);
    }
    if let Pending::ViewerCall { op, call: ViewerCall::Stop { owner, session } } = pending {
        return stopping::on_failed(cx, op, owner, session);
    }
    if let Pending::Telling(need) = &pending {
        return parts.push.on_targets_failed(cx, need);
    }
    if let Pending::QuietOver(owner) = &pending {
        return parts.push.on_quiet_over_failed(cx, owner);
    }
    if let Pending::Page { .. } = pending {
        parts.viewers.on_page_failed(cx);
    }
    if let Pending::Token { op, .. } = pending {
        return cx.reply(op, oauth::store_failed());
    }
    if let Pending::Code { call: CodeCall::Progress(session, epoch), .. } = &pending {
        parts.links.doubt(cx, session, *epoch);
    }
    if let Some(op) = pending.waiting() {
        cx.refuse(op, &ApiError::store_failed(failure, pending.is_strangers()));
        parts.close(cx, op, super::close::FAILED);
    }
}
