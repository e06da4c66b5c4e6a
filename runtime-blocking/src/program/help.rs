//! What `--help` says.

use footbridge_cli::help::small;

use super::args::Topic;

/// The help of the program, or of its agent.
pub(super) fn text(topic: Topic) -> String {
    match topic {
        Topic::Worker => small::worker(),
        Topic::Agent => small::agent(),
    }
}
