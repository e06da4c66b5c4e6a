//! What people have met in the field, one case a file, each test named after what they see. The
//! agents are scripts, and everything else is real. The next case is another file and a line here.

mod a_limit_is_reached;
mod a_message_to_an_agent_that_dies;
mod a_proxy_ends_what_is_silent;
mod a_question_outlives_its_turn;
mod a_text_of_megabytes;
mod an_id_is_used_again;
mod output_that_is_no_message;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::Program;

const CARD: &str = "[data-testid=permission-card]";
const STATE: &str = "[data-testid=session-state]";

/// What scripts say. They are also started by the worker's check of its agent, which says nothing to
/// be kept.
const WORDS: &str = r#"
say() { printf '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"%s"}]}}\n' "$1"; }
ask() { printf '{"type":"control_request","request_id":%s,"request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"%s"}}}\n' "$1" "$2"; }
hear() {
  read -r heard || exit 0
  case $heard in *footbridge-check*) exit 0 ;; esac
  printf '%s\n' "$heard" >>heard
}
"#;

/// A session whose agent is a script, on the page of its relay.
pub(crate) struct Case {
    directory: tempfile::TempDir,
    program: Program,
    pub(crate) page: Page,
}

impl Case {
    #[track_caller]
    pub(crate) fn of(script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let agent = format!("{WORDS}{script}\n");
        std::fs::write(directory.path().join("agent.sh"), agent).expect("a file");
        let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
        let mut page = Page::open(program.page());
        page.click(&hook("new-session"));
        page.see(STATE);
        Self { directory, program, page }
    }

    pub(crate) fn api(&self) -> Api {
        self.program.api()
    }

    /// The session that the page shows.
    #[track_caller]
    pub(crate) fn session(&mut self) -> String {
        let id = self.page.wait_for("a session", "location.hash.split('/session/')[1]");
        id.as_str().expect("text").to_owned()
    }

    #[track_caller]
    fn pending(&mut self) -> Vec<Value> {
        let session = self.session();
        let session = self.api().session(&session);
        session["pending_permissions"].as_array().expect("a list").clone()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lines that the agent has heard, once there are so many.
    #[track_caller]
    pub(crate) fn heard(&self, count: usize) -> Vec<Value> {
        let heard = || std::fs::read_to_string(self.file("heard")).unwrap_or_default();
        let lines = poll(|| Some(heard()).filter(|text| text.lines().count() >= count));
        let lines = lines.unwrap_or_else(|| panic!("{count} lines were expected: {}", heard()));
        let lines = lines.lines().map(serde_json::from_str);
        lines.map(|line| line.unwrap_or_else(|error| json!(error.to_string()))).collect()
    }
}
