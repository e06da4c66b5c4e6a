//! Actions and events as a trace may show them: sizes instead of contents (T-5).

use core::fmt::{Debug, Formatter, Result};

use bytes::Bytes;

/// Bytes of which only the count is shown.
pub(crate) struct Size<'a>(pub(crate) &'a Bytes);

impl Debug for Size<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// Writes a variant with its fields.
pub(crate) fn shown(f: &mut Formatter<'_>, name: &str, fields: &[(&str, &dyn Debug)]) -> Result {
    let mut shown = f.debug_struct(name);
    for (name, value) in fields {
        shown.field(name, value);
    }
    shown.finish()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::base::id::OpId;
    use crate::contract::action::Action;
    use crate::contract::event::{Event, ExitStatus};

    #[test]
    fn what_goes_through_a_pipe_or_into_a_file_shows_as_its_size() {
        let op = OpId::FIRST;
        let secret = || Bytes::from_static(b"hunter2");
        let actions = [
            Action::Write { op, data: secret() },
            Action::Save { op, path: String::from("/p"), data: secret() },
        ];
        let status = ExitStatus::Code(0);
        let events = [
            Event::Stdout { op, data: secret() },
            Event::Stderr { op, data: secret() },
            Event::Loaded { op, data: Some(secret()), modified: None },
            Event::Ran { op, status, stdout: secret(), stderr: secret() },
        ];
        for text in
            actions.map(|a| format!("{a:?}")).into_iter().chain(events.map(|e| format!("{e:?}")))
        {
            assert!(!text.contains("hunter2") && text.contains("(7 bytes)"), "{text}");
        }
    }
}
