//! `footbridge answer-link`: a link with which somebody answers one question of an agent (Y-9).

use std::io::IsTerminal as _;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::print;
use footbridge_cli::value::Level;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::without_hidden;
use footbridge_core::remote::{LobbyAnswer, LobbyCall};
use footbridge_core::wire::session::SessionState;
use footbridge_core::wire::viewer::{AnswerLink, AnswerLinkPost, Question, SessionView};
use serde_json::json;

use super::args::answer_link::{AnswerLink as Ask, Asked};
use super::attach::{Place, call, place};
use super::invitation::qr_here;

/// Makes a link, and prints it with what it is for.
pub(super) fn run(ask: Ask) -> Result<(), Error> {
    let Ask { relay, assumed, reach, asked } = ask;
    let log = EventLog::new("footbridge answer-link", reach.reports.level, reach.reports.format);
    log.unknown_variables(&reach.reports.unknown_variables);
    let place = place(relay, assumed, reach)?;
    let LobbyAnswer::Session(session) =
        call(&place, log, LobbyCall::Session(asked.session.clone()))?
    else {
        return Err(Error::local("the relay did not say what the session is at"));
    };
    let question = question(&session, asked.request.as_deref())?;
    let post = AnswerLinkPost {
        request_id: question.request_id.clone(),
        seq: Some(question.seq),
        expires_in: asked.expires_in.map(|span| span.as_secs()),
    };
    let made = LobbyCall::Link { session: asked.session.clone(), post };
    let LobbyAnswer::Link(link) = call(&place, log, made)? else {
        return Err(Error::local("the relay did not say which link it has made"));
    };
    say(&place, log, &asked, &session, question, &link)
}

/// The question that is meant: the one that was named, or the only one.
fn question<'a>(
    session: &'a SessionView<'_>,
    request: Option<&str>,
) -> Result<&'a Question, Error> {
    let refused = |message: String| Error { why: ExitKind::Refused, message };
    let id = &session.id;
    if session.state == SessionState::Ended {
        return Err(refused(format!("{id} has ended, and asks nothing any more")));
    }
    let open = &session.pending_permissions[..];
    let listed = || open.iter().map(line).collect::<Vec<_>>().join(",");
    match (request, open) {
        (_, []) => Err(refused(format!(
            "{id} has no open question: make a link when its agent asks, or follow it with footbridge attach {id}"
        ))),
        (Some(request), _) => open.iter().rfind(|one| one.request_id == request).ok_or_else(|| {
            refused(format!(
                "{id} has no open question {request:?}; those that it has are:{}",
                listed()
            ))
        }),
        (None, [one]) => Ok(one),
        (None, _) => Err(Error::usage(format!(
            "{id} has several open questions, name one with --request:{}",
            listed()
        ))),
    }
}

fn line(question: &Question) -> String {
    without_hidden(&format!("  {}  {}", question.request_id, question.tool_name))
}

fn say(
    place: &Place,
    log: EventLog,
    asked: &Asked,
    session: &SessionView<'_>,
    question: &Question,
    link: &AnswerLink,
) -> Result<(), Error> {
    let Question { request_id, tool_name, seq, .. } = question;
    let url = link.url.as_ref().map_or_else(
        || {
            let relay = place.relay.to_string();
            format!("{}/answer#{}", relay.trim_end_matches('/'), link.token.reveal())
        },
        |url| Secret::reveal(url).to_owned(),
    );
    if place.reach.reports.json {
        let line = json!({
            "url": url, "id": link.id, "expires_at": link.expires_at.to_string(),
            "session_id": asked.session.as_str(), "request_id": request_id, "seq": seq,
            "tool_name": tool_name,
        });
        return print(&format!("{line}\n"));
    }
    let title = session.title.as_deref().map(|title| format!(" ({title})")).unwrap_or_default();
    let words = without_hidden(&format!(
        "answers {request_id}, for {tool_name}, of {}{title}: once, until {}, and for whoever has it",
        asked.session, link.expires_at
    ));
    log.write(Level::Info, "link_made", &[], format_args!("{words}"));
    let is_shown = std::io::stdout().is_terminal();
    let code = is_shown.then(|| qr_here(&url)).flatten().unwrap_or_default();
    print(&format!("{url}\n{code}"))
}
