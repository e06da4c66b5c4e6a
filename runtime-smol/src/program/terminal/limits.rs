//! What a terminal keeps and does at most.

/// Bytes of text that a transcript keeps; the oldest go first.
pub(super) const TRANSCRIPT_BYTES: usize = 8 << 20;
/// Bytes of one text in it: its beginning and its end.
pub(super) const ENTRY_BYTES: usize = 64 << 10;
/// Entries of a transcript.
pub(super) const ENTRIES: usize = 20_000;
/// Lines of an input or a result that a folded card shows.
pub(super) const FOLDED_LINES: usize = 5;
/// Lines of a diff that a folded card shows.
pub(super) const FOLDED_DIFF: usize = 12;
/// Lines that one side of a diff may have; longer ones are shown as all removed and all added.
pub(super) const DIFF_LINES: usize = 2000;
/// Bytes of one character with everything that combines with it.
pub(super) const GRAPHEME_BYTES: usize = 32;
/// Bytes of what is being typed.
pub(super) const INPUT_BYTES: usize = 1 << 20;
/// Messages that can be fetched back into the input.
pub(super) const HISTORY: usize = 200;
/// Commands, and paths, that are offered for completion.
pub(super) const COMPLETIONS: usize = 500;
/// Offers that are shown at once.
pub(super) const OFFERS: usize = 6;
/// What an agent suggests to allow from now on, at most.
pub(super) const SUGGESTIONS: usize = 20;
/// Characters of a name in such a suggestion.
pub(super) const SUGGESTION_CHARS: usize = 500;
/// How long a question that has come by itself takes no key for its answer: who types just then means
/// something else.
pub(super) const ARRIVAL_GUARD: std::time::Duration = std::time::Duration::from_secs(1);
/// How long the keyboard must be at rest before the next of several questions is answered.
pub(super) const QUESTION_GUARD: std::time::Duration = std::time::Duration::from_millis(400);
/// Two presses of Ctrl-C within this time leave.
pub(super) const TWICE: std::time::Duration = std::time::Duration::from_secs(2);
/// Events that are asked for at once as somebody scrolls up.
pub(in crate::program) const OLDER: u64 = 200;
