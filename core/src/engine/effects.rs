//! What every machine is built on: its clock, its step queue, its table of open operations.

use alloc::collections::{BTreeMap, VecDeque};

use crate::base::id::OpId;
use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::contract::machine::{Outcome, Step};

/// The outgoing side of a machine. `P` is the purpose an operation was started for, `N` is what the
/// machine reports to its program.
///
/// The rule about late answers lives here and nowhere else: an operation is known from
/// [`start`](Self::start) to [`finish`](Self::finish) or [`cancel`](Self::cancel), its id is never
/// reused, and an answer to an unknown operation is ignored.
#[derive(Debug)]
pub(crate) struct Effects<P, N> {
    now: Now,
    next_op: OpId,
    open: BTreeMap<OpId, P>,
    queue: VecDeque<Queued<N>>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Queued<N> {
    Do(Action),
    Tell(N),
}

impl<P: Clone, N> Effects<P, N> {
    pub(crate) const fn new() -> Self {
        Self {
            now: Now { mono: Instant::ORIGIN, wall: crate::base::time::UnixTime::from_millis(0) },
            next_op: OpId::FIRST,
            open: BTreeMap::new(),
            queue: VecDeque::new(),
            outcome: None,
        }
    }

    /// Adopts the time of a call. Monotonic time never goes backwards inside a machine, whatever a
    /// runtime says.
    pub(crate) fn advance(&mut self, now: Now) {
        self.now = Now { mono: self.now.mono.max(now.mono), wall: now.wall };
    }

    pub(crate) const fn now(&self) -> Now {
        self.now
    }

    /// Assigns an id to `purpose` and queues the action that starts it; does nothing after the end,
    /// which cancels only what was started before.
    pub(crate) fn start(&mut self, purpose: P, action: impl FnOnce(OpId) -> Action) -> OpId {
        let op = self.next_op;
        self.next_op = op.next();
        if !self.is_ended() {
            self.open.insert(op, purpose);
            self.queue.push_back(Queued::Do(action(op)));
        }
        op
    }

    /// Queues an action on an open operation; does nothing for any other.
    pub(crate) fn act(&mut self, op: OpId, action: impl FnOnce(OpId) -> Action) {
        if self.open.contains_key(&op) {
            self.queue.push_back(Queued::Do(action(op)));
        }
    }

    /// What an open operation is for; `None` for a late answer.
    pub(crate) fn purpose(&self, op: OpId) -> Option<P> {
        self.open.get(&op).cloned()
    }

    /// Whether any operation is open.
    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether any operation is open for such a purpose.
    pub(crate) fn has_open_for(&self, is_such: impl Fn(&P) -> bool) -> bool {
        self.open.values().any(is_such)
    }

    /// Gives an open operation a new purpose.
    pub(crate) fn repurpose(&mut self, op: OpId, purpose: P) {
        if let Some(slot) = self.open.get_mut(&op) {
            *slot = purpose;
        }
    }

    /// Notes that an operation ended by itself. Returns its purpose, or `None` for a late answer.
    pub(crate) fn finish(&mut self, op: OpId) -> Option<P> {
        self.open.remove(&op)
    }

    /// Keeps an operation that was taken for finished: the event that is being handled was not its
    /// last one.
    pub(crate) fn keep(&mut self, op: OpId, purpose: P) {
        match self.is_ended() {
            false => drop(self.open.insert(op, purpose)),
            true => self.queue.push_back(Queued::Do(Action::Cancel { op })),
        }
    }

    /// Lets an operation end by itself; anything that still comes from it is dropped.
    pub(crate) fn forget(&mut self, op: OpId) {
        self.open.remove(&op);
    }

    /// Stops an operation; anything that still comes from it is dropped.
    pub(crate) fn cancel(&mut self, op: OpId) {
        if self.open.remove(&op).is_some() {
            self.queue.push_back(Queued::Do(Action::Cancel { op }));
        }
    }

    /// Shows each queued action to `keep`, which returns it or takes it. The operation that a taken
    /// action would start stays open until it is [`restarted`](Self::restart), finished or cancelled.
    pub(crate) fn filter(&mut self, mut keep: impl FnMut(Action) -> Option<Action>) {
        let queue = core::mem::take(&mut self.queue);
        self.queue.extend(queue.into_iter().filter_map(|queued| match queued {
            Queued::Do(action) => keep(action).map(Queued::Do),
            Queued::Tell(notice) => Some(Queued::Tell(notice)),
        }));
    }

    /// Starts an operation whose action was taken, unless it is over; under a new id, because those
    /// that a runtime sees increase. Returns what it is for, and that id.
    pub(crate) fn restart(
        &mut self,
        op: OpId,
        action: impl FnOnce(OpId) -> Action,
    ) -> Option<(P, OpId)> {
        let purpose = self.finish(op)?;
        let op = self.start(purpose.clone(), action);
        Some((purpose, op))
    }

    pub(crate) fn notify(&mut self, notice: N) {
        self.queue.push_back(Queued::Tell(notice));
    }

    /// Ends the machine once the queue is empty. Everything still open is cancelled; the first
    /// outcome wins.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        while let Some((op, _)) = self.open.pop_first() {
            self.queue.push_back(Queued::Do(Action::Cancel { op }));
        }
        self.outcome.get_or_insert(outcome);
    }

    pub(crate) const fn is_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// The next step; `deadline` is what to wait for when nothing is queued.
    pub(crate) fn step(&mut self, deadline: Option<Instant>) -> Step<N> {
        match self.queue.pop_front() {
            Some(Queued::Do(action)) => Step::Do(action),
            Some(Queued::Tell(notice)) => Step::Tell(notice),
            None => match &self.outcome {
                Some(outcome) => Step::Finished(outcome.clone()),
                None => Step::Wait(deadline),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn an_answer_after_cancel_or_finish_is_ignored() {
        let mut fx: Effects<&str, ()> = Effects::new();
        let first = fx.start("first", |op| Action::Pause { op });
        let second = fx.start("second", |op| Action::Pause { op });
        assert!(first < second, "ids are never reused");
        fx.cancel(first);
        assert_eq!(fx.finish(first), None);
        assert_eq!(fx.finish(second), Some("second"));
        assert_eq!(fx.purpose(second), None);
        let steps: alloc::vec::Vec<_> = (0..4).map(|_| fx.step(None)).collect();
        assert_eq!(steps[2], Step::Do(Action::Cancel { op: first }));
        assert_eq!(steps[3], Step::Wait(None), "the deadline shows only once the queue is empty");
    }

    #[test]
    fn time_never_goes_backwards_inside_a_machine() {
        let mut fx: Effects<(), ()> = Effects::new();
        let late = Instant::from_origin(Duration::from_secs(5));
        fx.advance(Now { mono: late, ..Now::default() });
        fx.advance(Now::default());
        assert_eq!(fx.now().mono, late);
    }

    #[test]
    fn ending_cancels_what_is_open_and_keeps_the_first_outcome() {
        let mut fx: Effects<(), ()> = Effects::new();
        let op = fx.start((), |op| Action::Pause { op });
        fx.end(Ok(()));
        fx.end(Ok(()));
        assert_eq!(fx.step(None), Step::Do(Action::Pause { op }));
        assert_eq!(fx.step(None), Step::Do(Action::Cancel { op }));
        assert_eq!(fx.step(None), Step::Finished(Ok(())));
    }

    #[test]
    fn nothing_is_started_after_the_end() {
        let mut fx: Effects<(), ()> = Effects::new();
        fx.end(Ok(()));
        let late = fx.start((), |op| Action::Pause { op });
        fx.act(late, |op| Action::Resume { op });
        assert_eq!((fx.purpose(late), fx.has_open()), (None, false));
        assert_eq!(fx.step(None), Step::Finished(Ok(())));
    }
}
