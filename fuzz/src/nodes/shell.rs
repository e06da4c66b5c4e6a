//! The built-in agent, as the program of a process.

use footbridge_core::agents::shell::{Agent, Command, Config, PermissionMode};

use crate::nodes::node::{Driven, Node, Order};

pub(crate) fn shell(seed: u64, is_traced: bool) -> Box<dyn Node> {
    let config = Config {
        directory: String::from("/project"),
        session_id: None,
        env_remove: Vec::new(),
        permission_mode: PermissionMode::Default,
        seed,
    };
    let command = |order| match order {
        Order::Shutdown => Some(Command::Shutdown),
        Order::ShutdownNow => Some(Command::ShutdownNow),
        Order::Settle => None,
    };
    Box::new(Driven { machine: Agent::new(config), command, is_traced })
}
