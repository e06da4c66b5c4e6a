//! What a machine wants and is told, under another id: for a node that runs several.

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;

/// An action that a bridge requests.
pub(crate) fn action_as(mut action: Action, id: OpId) -> Action {
    match &mut action {
        Action::Request { op, .. }
        | Action::Open { op, .. }
        | Action::Send { op, .. }
        | Action::Close { op, .. }
        | Action::Pause { op }
        | Action::Resume { op }
        | Action::Run { op, .. }
        | Action::Save { op, .. }
        | Action::Load { op, .. }
        | Action::Remove { op, .. }
        | Action::List { op, .. }
        | Action::Lock { op, .. }
        | Action::Cancel { op } => *op = id,
        other => unreachable!("a bridge does not ask for {other:?}"),
    }
    action
}

/// An event that answers one.
pub(crate) fn event_as(mut event: Event, id: OpId) -> Event {
    match &mut event {
        Event::Response { op, .. }
        | Event::Head { op, .. }
        | Event::Failed { op, .. }
        | Event::Refused { op, .. }
        | Event::Opened { op }
        | Event::Received { op, .. }
        | Event::Sent { op, .. }
        | Event::Closed { op, .. }
        | Event::Ran { op, .. }
        | Event::Saved { op }
        | Event::Loaded { op, .. }
        | Event::Removed { op }
        | Event::Listed { op, .. }
        | Event::Locked { op } => *op = id,
        other => unreachable!("nothing answers a bridge by {other:?}"),
    }
    event
}
