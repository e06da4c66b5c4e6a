//! What the agent has said about itself: its commands, its model and mode, and the files that it has
//! used.

use std::collections::{BTreeMap, HashMap, VecDeque};

use footbridge_core::base::text::Text;
use footbridge_core::remote::RemoteEvent;
use footbridge_core::wire::viewer::Origin;
use serde_json::Value;

use super::limits::COMPLETIONS;
use super::text::one_line;

/// Bytes of one thing that it names.
const NAME_BYTES: usize = 200;
/// Commands that make no sense from afar.
const FOR_ITS_TERMINAL: [&str; 6] = ["exit", "quit", "vim", "terminal-setup", "login", "logout"];

/// What is known of the agent.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) model: String,
    pub(super) mode: String,
    /// What it can be told with a slash, and what that does.
    pub(super) commands: BTreeMap<String, String>,
    /// The last one last.
    pub(super) paths: VecDeque<String>,
    directory: String,
    /// What it was asked, by the id of the request.
    asked: HashMap<String, (String, String)>,
}

fn name(value: &Value) -> Option<&str> {
    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= NAME_BYTES)?;
    (one_line(text) == text).then_some(text)
}

impl Facts {
    /// Learns from an event.
    pub(super) fn take(&mut self, event: &RemoteEvent) {
        let RemoteEvent { from, message, .. } = event;
        if !may_say_something(message) {
            return;
        }
        let Ok(message) = serde_json::from_str::<Value>(message.as_str()) else { return };
        match (from, message["type"].as_str()) {
            (Origin::Viewer, Some("control_request")) => self.asked(&message),
            (Origin::Agent, Some("system")) => self.system(&message),
            (Origin::Agent, Some("control_response")) => self.answered(&message["response"]),
            (Origin::Agent, Some("assistant")) => self.calls(&message["message"]["content"]),
            _ => {}
        }
    }

    fn asked(&mut self, message: &Value) {
        let request = &message["request"];
        let Some(id) = name(&message["request_id"]) else { return };
        let asked = match request["subtype"].as_str() {
            Some("set_model") => ("model", name(&request["model"]).unwrap_or_default()),
            Some("set_permission_mode") => ("mode", name(&request["mode"]).unwrap_or_default()),
            _ => return,
        };
        if self.asked.len() > COMPLETIONS {
            self.asked.clear();
        }
        self.asked.insert(id.to_owned(), (asked.0.to_owned(), asked.1.to_owned()));
    }

    fn system(&mut self, message: &Value) {
        if let Some(mode) = name(&message["permissionMode"]) {
            mode.clone_into(&mut self.mode);
        }
        if message["subtype"] != "init" {
            return;
        }
        if let Some(model) = name(&message["model"]) {
            model.clone_into(&mut self.model);
        }
        if let Some(directory) = name(&message["cwd"]) {
            directory.clone_into(&mut self.directory);
        }
        for command in message["slash_commands"].as_array().into_iter().flatten() {
            self.command(command, "");
        }
    }

    fn command(&mut self, command: &Value, about: &str) {
        let Some(command) = name(command).filter(|command| !command.contains(' ')) else { return };
        let is_fit = !FOR_ITS_TERMINAL.contains(&command) && self.commands.len() < COMPLETIONS;
        if is_fit && (!about.is_empty() || !self.commands.contains_key(command)) {
            let end = about.floor_char_boundary(NAME_BYTES);
            self.commands.insert(command.to_owned(), one_line(&about[..end]));
        }
    }

    fn answered(&mut self, response: &Value) {
        let answer = &response["response"];
        for command in answer["commands"].as_array().into_iter().flatten() {
            self.command(&command["name"], command["description"].as_str().unwrap_or_default());
        }
        let asked = response["request_id"].as_str().and_then(|id| self.asked.remove(id));
        let Some((what, value)) = asked.filter(|_| response["subtype"] == "success") else {
            return;
        };
        match what.as_str() {
            "model" => self.model = value,
            _ => self.mode = value,
        }
    }

    fn calls(&mut self, content: &Value) {
        for block in content.as_array().into_iter().flatten() {
            let input = &block["input"];
            let path = name(&input["file_path"]).or_else(|| name(&input["notebook_path"]));
            let Some(path) = path.filter(|_| block["type"] == "tool_use") else { continue };
            let inside = path.strip_prefix(&self.directory).and_then(|path| path.strip_prefix('/'));
            let path = inside.filter(|_| !self.directory.is_empty()).unwrap_or(path);
            self.paths.retain(|known| known != path);
            self.paths.push_back(path.to_owned());
            if self.paths.len() > COMPLETIONS {
                self.paths.pop_front();
            }
        }
    }
}

/// Most messages say nothing about an agent, and are not read twice.
fn may_say_something(message: &Text) -> bool {
    const SIGNS: [&str; 6] = [
        "\"permissionMode\"",
        "slash_commands",
        "\"commands\"",
        "_path\"",
        "\"set_",
        "control_response",
    ];
    SIGNS.iter().any(|sign| message.as_str().contains(sign))
}
