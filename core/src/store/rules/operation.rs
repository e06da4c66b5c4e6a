//! Which rule decides which operation.

use super::conversation::Conversation;
use super::conversation::own;
use super::cx::{Answered, Cx};
use super::sessions::NewSession;
use super::{
    accounts, answer_links, audit, callbacks, code_sessions, devices, draining, environments,
    healthcheck, links, messages, permissions, pushes, receipts, sessions, tidying, work,
    worktrees,
};
use crate::store::committed::Answer;
use crate::store::tables::Tables;
use crate::store::transaction::StoreOp;

pub(super) fn carry_out<T: Tables>(cx: &mut Cx<'_, T>, op: &StoreOp) -> Answered {
    match op {
        StoreOp::RegisterEnvironment { owner, id, registration, device } => {
            let registering = environments::Registering { owner, device: device.as_ref() };
            environments::register(cx, &registering, id, registration)
        }
        StoreOp::RemoveEnvironment { id } => environments::remove(cx, id),
        StoreOp::DrainEnvironment { id } => draining::begin(cx, id),
        StoreOp::Find { environment, session } => {
            environments::find(cx, environment.as_ref(), session.as_ref())
        }
        StoreOp::Prove { bytes } => {
            cx.tables.prove(*bytes)?;
            Ok(Answer::Done)
        }
        StoreOp::GetEnvironment { owner, id } => environments::get(cx, owner, id),
        StoreOp::AskHealthcheck { owner, id, work, key } => {
            healthcheck::ask(cx, owner, id, work, key.as_deref())
        }
        StoreOp::List { owner } => environments::list(cx, owner),
        StoreOp::LeaseWork { environment, key } => work::lease(cx, environment, key.as_deref()),
        StoreOp::ReturnWork { work, fence } => work::give_back(cx, work, *fence),
        StoreOp::AckWork { environment, work, fence }
        | StoreOp::RenewLease { environment, work, fence } => {
            work::renew(cx, environment, work, *fence)
        }
        StoreOp::StopWork { environment, work, fence, result, worktree } => {
            work::stop(cx, environment, work, *fence, result, worktree.as_deref())
        }
        StoreOp::NoteWorktree { environment, note } => worktrees::note(cx, environment, note),
        StoreOp::AskWorktree { owner, session, work, post } => {
            worktrees::ask(cx, owner, session, work, post)
        }
        StoreOp::Redispatch { environment, session, work } => {
            work::redispatch(cx, environment, session, work)
        }
        StoreOp::Lapse => work::lapse(cx),
        StoreOp::AddDevice { owner, id, name, scopes, address } => {
            let new = devices::New { owner, id, name, scopes: *scopes, address };
            devices::add(cx, &new)
        }
        StoreOp::RefreshDevice { id, generation, key, address } => {
            devices::refresh(cx, id, *generation, key.as_deref(), address)
        }
        StoreOp::CheckDevice { id, epoch } => devices::check(cx, id, *epoch),
        StoreOp::TrustDevice { owner, id, name } => devices::trust(cx, owner, id, name),
        StoreOp::ListDevices { owner } => devices::list(cx, owner),
        StoreOp::RevokeDevice { owner, id } => devices::revoke(cx, owner, id),
        StoreOp::EndAccount { owner } => accounts::end(cx, owner),
        StoreOp::NotePeople { owner, people } => accounts::note(cx, owner, people),
        StoreOp::AddPush { subscription } => pushes::add(cx, subscription),
        StoreOp::ListPushes { owner } => pushes::list(cx, owner),
        StoreOp::RemovePush { owner, id } => pushes::remove(cx, owner, id),
        StoreOp::ReadPushTargets { owner, session, request_id } => {
            pushes::targets(cx, owner, session, request_id.as_deref())
        }
        // That it is written down is all that there is to it.
        StoreOp::Note { .. } => Ok(Answer::Done),
        StoreOp::ReadAudit { owner, after, limit } => audit::read(cx, owner, *after, *limit),
        StoreOp::CreateSession { owner, environment, id, work, title, key, options } => {
            let (title, key) = (title.as_deref(), key.as_deref());
            let options = options.as_deref();
            let new = NewSession { owner, environment, id, work, title, key, options };
            sessions::create(cx, &new)
        }
        StoreOp::CreateCodeSession { owner, environment, id, title, key, registration, device } => {
            let (title, key) = (title.as_deref(), key.as_deref());
            let new = code_sessions::New { owner, environment, id, title, key };
            code_sessions::create(cx, &new, registration, device.as_ref())
        }
        StoreOp::Bridge { owner, device, session, agent_run } => {
            code_sessions::bridge(cx, owner, device.as_ref(), session, agent_run.as_deref())
        }
        StoreOp::OpenStream { session, link, received, from, last } => {
            code_sessions::open_stream(cx, session, *link, (*received, *last), *from)
        }
        StoreOp::NoteWorker { session, link, is_working, result } => {
            code_sessions::note_worker(cx, session, *link, *is_working, result.as_deref())
        }
        StoreOp::ListSessions { owner, environment, before, limit } => {
            sessions::list(cx, owner, environment.as_ref(), before.as_ref(), *limit)
        }
        StoreOp::GetSession { owner, id } => sessions::get(cx, owner, id),
        StoreOp::ChangeSession { owner, id, title, archived } => {
            tidying::change(cx, owner, id, title.as_deref(), *archived)
        }
        StoreOp::DeleteSession { owner, id } => tidying::delete(cx, owner, id),
        StoreOp::RequestStop { owner, id } => sessions::request_stop(cx, owner, id),
        StoreOp::ReadLog { owner, session, after, max_events, max_bytes } => {
            let row = own(cx, owner, session)?;
            Ok(messages::page(cx, row, *after, *max_events, *max_bytes)?)
        }
        StoreOp::ReadReceipts { owner, session } => {
            let row = own(cx, owner, session)?;
            receipts::list(cx, row)
        }
        StoreOp::ReadReceipt { owner, session, seq } => {
            let row = own(cx, owner, session)?;
            receipts::get(cx, row, *seq)
        }
        StoreOp::Post { owner, session, messages, sender } => {
            let conversation = Conversation::of(own(cx, owner, session)?);
            messages::post(cx, conversation, messages, sender.as_ref())
        }
        StoreOp::AnswerPermission { owner, session, request_id, seq, reply } => {
            let mut conversation = Conversation::of(own(cx, owner, session)?);
            let answer = permissions::answer(cx, &mut conversation, request_id, *seq, reply)?;
            conversation.save(cx)?;
            Ok(answer)
        }
        StoreOp::MakeAnswerLink { owner, session, request_id, seq, link } => {
            answer_links::make(cx, owner, session, (request_id, *seq), link)
        }
        StoreOp::ReadAnswerLink { session, digest } => answer_links::read(cx, session, digest),
        StoreOp::AnswerByLink { session, digest, reply } => {
            answer_links::answer(cx, session, digest, reply)
        }
        StoreOp::AnswerCallback { owner, session, client, request_id, seq, reply } => {
            let mut conversation = Conversation::of(own(cx, owner, session)?);
            let answered = callbacks::Answered { client, request_id, seq: *seq, reply };
            let answer = callbacks::answer(cx, &mut conversation, &answered)?;
            conversation.save(cx)?;
            Ok(answer)
        }
        StoreOp::AttachLink { session, fence, agent_run } => {
            links::attach(cx, session, *fence, agent_run.as_deref())
        }
        StoreOp::ResumeLink { session, link, received, from, last } => {
            links::resume(cx, session, *link, (*received, *last), *from)
        }
        StoreOp::Append { session, link, first, lines } => {
            links::append(cx, session, *link, *first, lines)
        }
        StoreOp::AckInbound { session, link, received, delivered, with_worker, last } => {
            let progress = links::Progress {
                received: *received,
                delivered: *delivered,
                with_worker: *with_worker,
                last: *last,
            };
            links::ack_inbound(cx, session, *link, progress)
        }
        StoreOp::ReadInbound { session, after, max_lines, max_bytes } => {
            links::read_inbound(cx, session, *after, *max_lines, *max_bytes)
        }
    }
}
