//! What the host tells, in words for whoever is at the terminal.

use super::talk::{Bridge, Told};
use crate::program::args::chat::Chat as Args;

/// What the agent is called.
pub(super) fn agent(ask: &Args) -> &str {
    ask.agent.as_deref().unwrap_or("the shell agent")
}

/// What a terminal says last that has left its agent running.
pub(super) fn detached(session: &str, turns: u64, stored: u64) -> String {
    format!(
        "· {turns} turns here, {stored} at the relay: the same\n\
         · the agent goes on; footbridge attach {session} comes back to it\n"
    )
}

/// What has changed between the host and the relay.
pub(super) fn bridge(before: &Bridge, now: &Bridge) -> Option<String> {
    if now.is_connected && !before.is_connected {
        let session = now.session.as_deref().unwrap_or_default();
        return Some(format!("shared as {session}: {}", now.page.as_deref().unwrap_or_default()));
    }
    let error = now.error.as_ref().filter(|_| !now.is_connected && before.error.is_none())?;
    Some(format!("not connected to the relay: {error}"))
}

/// What else is told in words.
pub(super) fn told(told: &Told) -> Option<String> {
    match told {
        Told::TakenUp { turns, stored, resumes } => {
            let turns = if turns == stored {
                format!("{turns} turns there, {stored} at the relay: the same")
            } else {
                format!("{turns} turns there, {stored} at the relay, which has what left in time")
            };
            let agent = match resumes {
                true => "the agent takes up its conversation",
                false => "the agent begins anew, and does not know what was said",
            };
            Some(format!("taken up again from a chat that was killed: {turns}; {agent}"))
        }
        Told::NotTakenUp { session } => Some(format!(
            "the chat before was killed, and its session is over: footbridge attach {session} shows it"
        )),
        Told::SessionChanged { now, lines_missing } => {
            let missing = match lines_missing {
                0 => String::new(),
                lines => format!(", without its first {lines} lines"),
            };
            Some(format!("the relay had lost the session; it is {now} now{missing}"))
        }
        Told::SessionEnded { reason } => {
            Some(format!("no longer shared: {reason}; the conversation goes on here"))
        }
        Told::Unshown(lines) => Some(format!("{lines} lines were not shown")),
        Told::NotDetached { reason } => Some(format!("not detached: {reason}")),
        Told::Started | Told::Bridge(_) | Told::Detached { .. } => None,
    }
}
