//! The two names of one session (I-1): `session_…`, by which people and their clients know it, and
//! `cse_…`, which version 2 uses for the same one.
//!
//! Two names mean the same session only if both have a known tag and everything after it is equal.
//! Comparing only what stands after the last underscore would take `session_a_1f3b` and `cse_b_1f3b`
//! for one.

use alloc::format;

use crate::base::id::SessionId;

/// The tags, the one that is stored first.
const TAGS: [&str; 2] = ["session_", "cse_"];

/// What stands after a known tag.
fn body(id: &SessionId) -> Option<&str> {
    TAGS.iter().find_map(|tag| id.as_str().strip_prefix(tag)).filter(|body| !body.is_empty())
}

/// Whether two names are those of one session.
pub fn is_same_session(a: &SessionId, b: &SessionId) -> bool {
    a == b || body(a).is_some_and(|own| body(b) == Some(own))
}

/// The name under which a session is stored.
pub fn canonical(id: SessionId) -> SessionId {
    let [stored, other] = TAGS;
    let own = id.as_str().strip_prefix(other).filter(|body| !body.is_empty());
    // Both tags consist of what an id may have, and the stored one is the longer by a little.
    own.and_then(|body| SessionId::new(&format!("{stored}{body}")).ok()).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        SessionId::new(text).expect("an id")
    }

    #[test]
    fn one_body_under_two_known_tags_is_one_session() {
        assert!(is_same_session(&id("session_01ab_c"), &id("cse_01ab_c")));
        assert!(is_same_session(&id("cse_x"), &id("cse_x")));
        assert_eq!(canonical(id("cse_01ab_c")), id("session_01ab_c"));
        assert_eq!(canonical(id("session_01ab_c")), id("session_01ab_c"));
    }

    #[test]
    fn the_same_end_after_the_last_underscore_is_not_the_same_session() {
        for (a, b) in [
            ("session_alpha_1f3b", "cse_beta_1f3b"),
            ("session_1f3b", "cse_beta_1f3b"),
            ("session_alpha_1f3b", "session_beta_1f3b"),
            ("session_1f3b", "env_1f3b"),
            ("team_1f3b", "cse_1f3b"),
            ("session_", "cse_"),
            ("session", "cse"),
        ] {
            assert!(!is_same_session(&id(a), &id(b)), "{a} {b}");
        }
        assert_eq!(canonical(id("cse_")), id("cse_"));
        assert_eq!(canonical(id("cse-1")), id("cse-1"));
    }

    #[test]
    fn a_name_that_would_become_too_long_stays_as_it_is() {
        let long = id(&format!("cse_{}", "x".repeat(crate::base::limits::MAX_ID_BYTES - 4)));
        assert_eq!(canonical(long.clone()), long);
    }
}
