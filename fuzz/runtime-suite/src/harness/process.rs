//! Processes as a case sees them: through their events, and from outside.

use std::time::{Duration, Instant};

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::event::{Event, ExitStatus, Output};
use rustix::process::{Pid, test_kill_process};

use super::{Driven, PATIENCE};

/// What a process did until it and both its outputs had ended.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) pid: u32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) ended: Vec<Output>,
    pub(crate) written: usize,
    pub(crate) is_input_closed: bool,
}

impl Life {
    pub(crate) fn see(&mut self, op: OpId, event: Event) {
        match event {
            Event::Spawned { op: of, pid } if of == op => self.pid = pid,
            Event::Stdout { op: of, data } if of == op => self.stdout.extend(data),
            Event::Stderr { op: of, data } if of == op => self.stderr.extend(data),
            Event::OutputEnded { op: of, output } if of == op => self.ended.push(output),
            Event::Exited { op: of, status } if of == op => self.status = Some(status),
            Event::Written { op: of, writes } if of == op => self.written += writes,
            Event::InputClosed { op: of } if of == op => self.is_input_closed = true,
            other => panic!("unexpected: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn until(
        mut self,
        driven: &Driven,
        op: OpId,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Self {
        while !is_enough(&self) {
            self.see(op, driven.next());
        }
        self
    }

    #[track_caller]
    pub(crate) fn whole(self, driven: &Driven, op: OpId) -> Self {
        self.until(driven, op, |life| life.status.is_some() && life.ended.len() == 2)
    }
}

pub(crate) fn program(program: &str, args: &[&str]) -> ProcessSpec {
    ProcessSpec {
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    }
}

/// Waits until a process is gone and its parent has reaped it.
#[track_caller]
pub(crate) fn wait_gone(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    wait_until("it is gone", || test_kill_process(pid).is_err());
}

/// Whether a process is running; a zombie is not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
