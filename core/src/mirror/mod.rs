//! A copy of a session's log in a file, kept up as the log grows (G-1).
//!
//! ```text
//!   Identify ──▶ Naming ──▶ LookAtEnd ──▶ Follow: page ──▶ append, piece by piece ──┐
//!                                ▲           ▲    └── nothing new ──▶ pause ────────┤
//!                                │           └──────────────────────────────────────┘
//!                                └── the disk has failed: after a pause       ended ──▶ over
//! ```
//!
//! Each event is one line of the file, in the bytes that the relay serves; where the relay no longer
//! keeps some, a line says so: `{"type":"gap","after":A,"resumes_after":B}`. A file `NAME.mirror`
//! beside it says which session of which relay it is a mirror of.
//!
//! Nothing is remembered but what is in the file. Where it continues follows from its last whole line,
//! after a crash as after a failure of the disk, and the relay has to have the same event there. One
//! append is under way at a time, and only it can be torn, so the file is checked as far back as that
//! reaches (`sidecar.rs`).
//!
//! It has failure rules of its own: it never gives up on a relay that is away or on a disk that is
//! full, and says each once. It ends with the session, or if the relay says that it may not read it.
//!
//! This drives one by hand, up to its first look at the file:
//!
//! ```
//! use footbridge_core::auth::Credential;
//! use footbridge_core::base::id::SessionId;
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::time::Now;
//! use footbridge_core::contract::action::Action;
//! use footbridge_core::contract::event::Event;
//! use footbridge_core::contract::machine::{Machine, Step};
//! use footbridge_core::mirror::{Mirror, MirrorConfig};
//! use footbridge_core::wire::url::BaseUrl;
//!
//! let mut mirror = Mirror::new(MirrorConfig {
//!     relay: BaseUrl::parse("https://relay.example")?,
//!     credential: Credential::fixed(Secret::from("an-access-token-of-a-person")),
//!     session: SessionId::new("session_1")?,
//!     path: "/backup/log".into(),
//!     seed: 7,
//! });
//! let Step::Do(Action::Load { op, path, .. }) = mirror.step() else { panic!("the identity") };
//! assert_eq!(path, "/backup/log.mirror");
//! mirror.handle(Now::default(), Event::Loaded { op, data: None, modified: None });
//! let Step::Do(Action::LoadEnd { path, .. }) = mirror.step() else { panic!("the file's end") };
//! assert_eq!(path, "/backup/log");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod notice;
mod page;
mod sidecar;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::access::{Access, Renewal};
pub use self::notice::MirrorNotice;
use self::page::{PageError, Piece};
use self::sidecar::{End, Identity, Place, identity_path, look_at_end};
use crate::auth::Credential;
use crate::base::id::SessionId;
use crate::base::limits::{
    MAX_MIRROR_IDENTITY_BYTES, MIRROR_END_BYTES, MIRROR_LONGEST_PAUSE, MIRROR_LONGEST_POLL,
    MIRROR_MAX_END_BYTES, MIRROR_POLL,
};
use crate::client::{ForeignAnswer, RequestError, answer, log_pages};
use crate::contract::action::Action;
use crate::contract::event::{Event, IoError};
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Track, Verdict};
use crate::engine::runner::{self, Role, Runner, Slept, delegate_machine};
use crate::wire::session::SessionState;
use crate::wire::url::BaseUrl;

type Cx = runner::Cx<Purpose, Timer, MirrorNotice>;

/// What is mirrored, and where.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// The relay that has the session.
    pub relay: BaseUrl,
    /// What may read it.
    pub credential: Credential,
    /// The session.
    pub session: SessionId,
    /// The file. Another one with `.mirror` after its name is made beside it.
    pub path: String,
    /// Any number, for pauses and proofs.
    pub seed: u64,
}

/// What a program asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorCommand {
    /// End. The next one continues where this one was.
    Stop,
}

/// The machine.
#[derive(Debug)]
pub struct Mirror {
    runner: Runner<Mirroring>,
}

delegate_machine!(Mirror, MirrorCommand, MirrorNotice);

impl Mirror {
    /// Looks at the file with its first step.
    pub fn new(config: MirrorConfig) -> Self {
        let mut cx = Cx::new();
        let role = Mirroring::new(config);
        let (path, limit) = (identity_path(&role.path), MAX_MIRROR_IDENTITY_BYTES);
        cx.fx.start(Purpose::Identity, |op| Action::Load { op, path, limit });
        Self { runner: Runner::new(role, cx) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The file that says what this is a mirror of, read and written.
    Identity,
    Naming,
    /// The end of the mirror.
    End,
    Append,
    /// Requests to the relay.
    Proof,
    Page,
    Session,
    /// The credential.
    /// Nobody else refreshes its log-in.
    LockToken,
    Token,
    Refresh,
    SaveLogIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// To ask the relay.
    Ask,
    /// To try the disk again.
    Disk,
}

/// What a mirror is doing.
#[derive(Debug)]
enum Stage {
    /// Finding out what the file is, if there is one.
    Beginning(Beside),
    /// Looking for where to continue, after a failure. So many bytes of the file are on disk; whether
    /// what is after them is, nobody knows who only reads it.
    Returning { synced: u64 },
    /// Copying.
    Following(Following),
}

/// What is beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    /// Nothing: it may only be new.
    Nothing,
    /// The file that says it is this mirror.
    Identity,
}

#[derive(Debug)]
struct Following {
    place: Place,
    /// What is still to be written of the last page.
    pieces: VecDeque<Piece>,
    next: Next,
    poll: Duration,
}

/// What is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The next page of the log.
    Page,
    /// Whether there is more, or the session has ended.
    Session,
}

#[derive(Deserialize)]
struct Glance {
    state: SessionState,
    last_seq: u64,
}

#[derive(Debug)]
struct Mirroring {
    relay: BaseUrl,
    session: SessionId,
    path: String,
    access: Access,
    rng: Rng,
    relay_backoff: Backoff,
    disk_backoff: Backoff,
    /// What was said to fail, and has not worked again yet.
    is_relay_failing: bool,
    is_disk_failing: bool,
    stage: Stage,
}

/// Neither ever gives up.
const fn patience() -> BackoffConfig {
    let track = Track { initial: Duration::from_secs(1), cap: MIRROR_LONGEST_PAUSE, give_up: None };
    BackoffConfig { connection: track, general: track }
}

impl Mirroring {
    fn new(config: MirrorConfig) -> Self {
        let MirrorConfig { relay, credential, session, path, seed } = config;
        Self {
            access: Access::new(relay.clone(), credential),
            relay,
            session,
            path,
            rng: Rng::with_seed(seed),
            relay_backoff: Backoff::new(patience()),
            disk_backoff: Backoff::new(patience()),
            is_relay_failing: false,
            is_disk_failing: false,
            stage: Stage::Beginning(Beside::Nothing),
        }
    }

    // The file.

    fn identified(&mut self, cx: &mut Cx, event: Event) {
        match event {
            Event::Loaded { data: Some(data), .. } => {
                let ours = Identity::new(&self.relay, &self.session);
                if let Err(why) = ours.check(&data) {
                    let advice = "name another file with --to, or if the relay has only moved, put its new address into";
                    let beside = identity_path(&self.path);
                    return self.refuse(cx, &format!("{why}; {advice} {beside}"));
                }
                self.stage = Stage::Beginning(Beside::Identity);
                self.look(cx, MIRROR_END_BYTES);
            }
            Event::Failed { failure, .. } => self.refuse(cx, &failure.to_string()),
            _ => self.look(cx, MIRROR_END_BYTES),
        }
    }

    fn look(&self, cx: &mut Cx, limit: usize) {
        let path = self.path.clone();
        cx.fx.start(Purpose::End, |op| Action::LoadEnd { op, path, limit });
    }

    fn end_was_read(&mut self, cx: &mut Cx, event: Event) {
        let (length, data) = match event {
            Event::EndLoaded { length, data, .. } => (length, data),
            Event::Failed { failure, .. } => match self.stage {
                Stage::Beginning(_) => return self.refuse(cx, &failure.to_string()),
                Stage::Returning { .. } | Stage::Following(_) => {
                    return self.disk_failed(cx, &failure);
                }
            },
            _ => return,
        };
        if matches!(self.stage, Stage::Beginning(Beside::Nothing)) {
            if length > 0 {
                let reason = "it is there already, and no mirror; name another file with --to";
                return self.refuse(cx, reason);
            }
            return self.name(cx);
        }
        let (end, known) = match self.stage {
            Stage::Returning { synced } => (length.min(synced), up_to(synced, length, &data)),
            Stage::Beginning(_) | Stage::Following(_) => (length, data.clone()),
        };
        let place = match look_at_end(end, &known) {
            End::At(place) => place,
            End::TooShort if data.len() < MIRROR_MAX_END_BYTES => {
                return self.look(cx, (data.len() * 2).max(MIRROR_END_BYTES));
            }
            End::Damaged { after } => {
                let reason = format!(
                    "it is damaged after event {after}, and whole events follow there: nothing was changed; keep it, and name another file with --to"
                );
                return self.refuse(cx, &reason);
            }
            End::TooShort | End::Foreign => {
                let reason =
                    "what is in it was not written by a mirror; name another file with --to";
                return self.refuse(cx, reason);
            }
        };
        if let Stage::Beginning(_) = self.stage {
            let (seq, cut) = (place.seq, length - place.offset);
            cx.fx.notify(MirrorNotice::Started { seq, cut });
        }
        // Cuts off what was torn, and puts on disk what may only have been written.
        let seq = place.seq;
        self.follow(place);
        if length > 0
            && let Stage::Following(Following { pieces, .. }) = &mut self.stage
        {
            pieces.push_back(Piece { lines: Bytes::new(), seq });
            return self.write(cx);
        }
        self.ask(cx);
    }

    /// Writes down of what it is a mirror, before there is anything in it.
    fn name(&self, cx: &mut Cx) {
        let path = identity_path(&self.path);
        let data = Identity::new(&self.relay, &self.session).to_file();
        cx.fx.start(Purpose::Naming, |op| Action::Save { op, path, data });
    }

    fn named(&mut self, cx: &mut Cx, event: &Event) {
        if let Event::Failed { failure, .. } = event {
            return self.disk_failed(cx, failure);
        }
        self.disk_works(cx);
        cx.fx.notify(MirrorNotice::Started { seq: 0, cut: 0 });
        self.follow(Place::START);
        self.ask(cx);
    }

    fn follow(&mut self, place: Place) {
        let (pieces, poll) = (VecDeque::new(), MIRROR_POLL);
        self.stage = Stage::Following(Following { place, pieces, next: Next::Page, poll });
    }

    fn write(&self, cx: &mut Cx) {
        let Stage::Following(Following { place, pieces, .. }) = &self.stage else { return };
        let Some(Piece { lines, .. }) = pieces.front() else { return };
        let (path, offset, data) = (self.path.clone(), place.offset, lines.clone());
        cx.fx.start(Purpose::Append, |op| Action::Append { op, path, offset, data });
    }

    fn appended(&mut self, cx: &mut Cx, event: &Event) {
        if let Event::Failed { failure, .. } = event {
            return self.disk_failed(cx, failure);
        }
        self.disk_works(cx);
        let Stage::Following(Following { place, pieces, .. }) = &mut self.stage else { return };
        let Some(Piece { lines, seq }) = pieces.pop_front() else { return };
        if !lines.is_empty() {
            let offset = place.offset + lines.len() as u64;
            *place = Place { seq, offset, last: None };
            cx.fx.notify(MirrorNotice::Written { seq, bytes: offset });
        }
        if pieces.is_empty() { self.ask(cx) } else { self.write(cx) }
    }

    /// What is in the file now, nobody knows: it is looked at again, as after a crash.
    fn disk_failed(&mut self, cx: &mut Cx, failure: &IoError) {
        if !core::mem::replace(&mut self.is_disk_failing, true) {
            cx.fx.notify(MirrorNotice::DiskFailing { reason: failure.to_string() });
        }
        self.return_later();
        let now = cx.fx.now().mono;
        let verdict = self.disk_backoff.fail(now, FailureTrack::General, None, &mut self.rng);
        cx.set_timer(Timer::Disk, pause_of(verdict));
    }

    fn return_later(&mut self) {
        if let Stage::Following(Following { place, .. }) = &self.stage {
            self.stage = Stage::Returning { synced: place.offset };
        }
    }

    fn disk_works(&mut self, cx: &mut Cx) {
        self.disk_backoff.reset();
        if core::mem::take(&mut self.is_disk_failing) {
            cx.fx.notify(MirrorNotice::DiskBack);
        }
    }

    // The relay.

    fn ask(&mut self, cx: &mut Cx) {
        let Stage::Following(Following { place, next, .. }) = &self.stage else { return };
        let Some(token) = self.access.token() else {
            return self.access.ask_for_proof(cx, &mut self.rng);
        };
        let (purpose, request) = match next {
            Next::Page => {
                // Its last event again, to see whether it is the same log.
                let after = place.seq - u64::from(place.last.is_some());
                (Purpose::Page, log_pages::events(&self.relay, token, &self.session, after))
            }
            Next::Session => {
                (Purpose::Session, log_pages::session(&self.relay, token, &self.session))
            }
        };
        cx.fx.start(purpose, |op| Action::Request { op, request });
    }

    fn proof(&mut self, cx: &mut Cx, event: Event) {
        match self.access.proof(event) {
            Ok(()) => self.ask(cx),
            Err(error) => self.relay_failed(cx, &error),
        }
    }

    fn page(&mut self, cx: &mut Cx, event: Event) {
        let json: Box<RawValue> = match answer(event) {
            Ok(json) => json,
            Err(error) => return self.relay_failed(cx, &error),
        };
        let Stage::Following(Following { place, pieces, next, poll }) = &mut self.stage else {
            return;
        };
        let page = match page::read(json.get(), place.seq, place.last.as_deref()) {
            Ok(page) => page,
            Err(PageError::Unreadable(reason)) => {
                let error = RequestError::Foreign(ForeignAnswer::unreadable(200, &reason));
                return self.relay_failed(cx, &error);
            }
            Err(PageError::Shorter { last_seq }) => {
                let reason = format!(
                    "it has events up to {}, and the session's log only up to {last_seq}: the relay was set back to an older state; name another file with --to",
                    place.seq
                );
                return self.refuse(cx, &reason);
            }
            Err(PageError::Different) => {
                let reason = format!(
                    "its event {} is another one in the session's log: it is the mirror of another log; name another file with --to",
                    place.seq
                );
                return self.refuse(cx, &reason);
            }
        };
        // The same log from here on.
        place.last = None;
        *pieces = page.pieces;
        let written = pieces.back().map_or(place.seq, |piece| piece.seq);
        *next = if page.last_seq > written { Next::Page } else { Next::Session };
        let is_new = !pieces.is_empty();
        if is_new {
            *poll = MIRROR_POLL;
        }
        self.relay_works(cx);
        if let Some((after, resumes_after)) = page.gap {
            cx.fx.notify(MirrorNotice::Gap { after, resumes_after });
        }
        if is_new { self.write(cx) } else { self.ask(cx) }
    }

    fn glanced(&mut self, cx: &mut Cx, event: Event) {
        let glance: Glance = match answer(event) {
            Ok(glance) => glance,
            Err(error) => return self.relay_failed(cx, &error),
        };
        self.relay_works(cx);
        let Stage::Following(Following { place, next, poll, .. }) = &mut self.stage else { return };
        if glance.last_seq != place.seq {
            // Also if it is less: the page says what is wrong.
            *next = Next::Page;
            return self.ask(cx);
        }
        if glance.state == SessionState::Ended {
            cx.fx.notify(MirrorNotice::Ended { seq: place.seq });
            return cx.fx.end(Ok(()));
        }
        let pause = *poll;
        *poll = (pause * 2).min(MIRROR_LONGEST_POLL);
        cx.set_timer(Timer::Ask, pause);
    }

    fn relay_works(&mut self, cx: &mut Cx) {
        self.access.accepted();
        self.relay_backoff.reset();
        if core::mem::take(&mut self.is_relay_failing) {
            cx.fx.notify(MirrorNotice::RelayBack);
        }
    }

    fn relay_failed(&mut self, cx: &mut Cx, error: &RequestError) {
        if self.access.renew(cx, error) {
            return;
        }
        if error.track().is_none() && self.access.is_relays_word() {
            let mut fault = error.fault(&format!("mirror {}", self.session), &self.relay);
            if fault.kind == MachineErrorKind::Forbidden {
                fault.message.push_str(self.access.advice());
            }
            if fault.kind == MachineErrorKind::NotFound {
                fault.message = format!(
                    "{} does not have {} (any more): {error}; what there was of its log is in {}",
                    self.relay, self.session, self.path
                );
            }
            return cx.fx.end(Err(fault));
        }
        self.access.failed();
        let now = cx.fx.now();
        if !core::mem::replace(&mut self.is_relay_failing, true) {
            cx.fx.notify(MirrorNotice::RelayFailing { reason: error.in_words(now.wall) });
        }
        let track = error.track().unwrap_or(FailureTrack::General);
        let asked = error.retry_after(now.wall);
        let verdict = self.relay_backoff.fail(now.mono, track, asked, &mut self.rng);
        cx.set_timer(Timer::Ask, pause_of(verdict));
    }

    fn renewed(&mut self, cx: &mut Cx, renewal: Renewal) {
        self.access.settled(cx, &renewal);
        match renewal {
            Renewal::UnderWay => {}
            Renewal::Renewed => self.ask(cx),
            Renewal::Failed(error) => self.relay_failed(cx, &error),
            // The relay's refusal of what there is says what is wrong.
            Renewal::Refused => self.ask(cx),
        }
    }

    fn refuse(&self, cx: &mut Cx, reason: &str) {
        let message = format!("cannot mirror to {}: {reason}", self.path);
        cx.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
    }
}

/// The part of a file's end that is on disk.
fn up_to(synced: u64, length: u64, data: &Bytes) -> Bytes {
    let beyond = usize::try_from(length.saturating_sub(synced)).unwrap_or(usize::MAX);
    data.slice(..data.len().saturating_sub(beyond))
}

/// The pause before another try; its tracks have no end.
const fn pause_of(verdict: Verdict) -> Duration {
    match verdict {
        Verdict::RetryAfter(pause) => pause,
        Verdict::GiveUp { .. } => MIRROR_LONGEST_PAUSE,
    }
}

impl Role for Mirroring {
    type Command = MirrorCommand;
    type Notice = MirrorNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, cx: &mut Cx, MirrorCommand::Stop: MirrorCommand) {
        cx.fx.end(Ok(()));
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(purpose) = event.op().and_then(|op| cx.fx.finish(op)) else { return };
        match purpose {
            Purpose::Identity => self.identified(cx, event),
            Purpose::Naming => self.named(cx, &event),
            Purpose::End => self.end_was_read(cx, event),
            Purpose::Append => self.appended(cx, &event),
            Purpose::Proof => self.proof(cx, event),
            Purpose::Page => self.page(cx, event),
            Purpose::Session => self.glanced(cx, event),
            Purpose::LockToken => self.access.locked(cx, &event),
            Purpose::Token => {
                let renewal = self.access.loaded(cx, &event);
                self.renewed(cx, renewal);
            }
            Purpose::Refresh => {
                let renewal = self.access.refreshed(cx, event);
                self.renewed(cx, renewal);
            }
            // Kept or not, it is the one that counts now.
            Purpose::SaveLogIn => self.renewed(cx, Renewal::Renewed),
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, timer: Timer) {
        match (timer, &self.stage) {
            // It may be another one by now, or an older state of it.
            (Timer::Ask, Stage::Following(_)) if self.is_relay_failing => {
                self.return_later();
                self.look(cx, MIRROR_END_BYTES);
            }
            (Timer::Ask, _) => self.ask(cx),
            (Timer::Disk, Stage::Beginning(_)) => self.name(cx),
            (Timer::Disk, _) => self.look(cx, MIRROR_END_BYTES),
        }
    }

    fn on_wake(&mut self, cx: &mut Cx, _: Slept) {
        self.relay_backoff.reset();
        self.disk_backoff.reset();
        if cx.timers.is_set(&Timer::Ask) {
            cx.set_timer(Timer::Ask, Duration::ZERO);
        }
    }
}
