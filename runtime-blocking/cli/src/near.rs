//! What somebody may have meant who has misspelt a name.

/// The known name that is nearest to this one, if it is near enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One letter in four may be wrong, missing, too much, or have changed places with the next.
    let is_near = |(distance, known): &(usize, &str)| *distance <= (known.len() / 4).max(1);
    let all = known.into_iter().map(|known| (strsim::osa_distance(known, name), known));
    all.min_by_key(|(distance, _)| *distance).filter(is_near).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_told_from_another_one() {
        let known = ["work", "relay", "max_sessions", "up"];
        for (name, meant) in [
            ("wrok", Some("work")),
            ("rellay", Some("relay")),
            ("max_sesion", Some("max_sessions")),
            ("upp", Some("up")),
            ("down", None),
            ("", None),
            ("session", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
