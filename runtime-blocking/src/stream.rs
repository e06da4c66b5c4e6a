//! Streaming HTTP responses, read as they arrive.
//!
//! The exchange's thread reads while it may, and otherwise waits for orders. The time limit for
//! bytes is kept underneath, at the socket: a timeout there leaves everything above intact, so a
//! requested pause can be waited out.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::Event;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

use crate::inbox::{Inbox, lock};
use crate::mailbox::{Gone, Outbox};
use crate::net::deadline_after;

/// Maximum size of one read.
const READ_BYTES: usize = 16 << 10;

/// Orders from the loop for a streamed response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Pause,
    Resume,
}

/// How a response is read: as the loop orders.
#[derive(Debug)]
pub(crate) struct Flow {
    /// When the head must have arrived.
    head_by: Instant,
    has_begun: AtomicBool,
    idle_timeout: Duration,
    orders: Arc<Inbox<Order>>,
    is_paused: AtomicBool,
}

/// The operation was cancelled.
struct Cancelled;

impl Flow {
    pub(crate) fn new(
        timeout: Duration,
        idle_timeout: Duration,
        orders: Arc<Inbox<Order>>,
    ) -> Self {
        Self {
            head_by: deadline_after(timeout),
            has_begun: AtomicBool::new(false),
            idle_timeout,
            orders,
            is_paused: AtomicBool::new(false),
        }
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Replaces the library's own limits, which cannot tell the head from the body.
    fn limit(&self) -> NextTimeout {
        let after = match self.has_begun() {
            true => self.idle_timeout,
            false => self.head_by.saturating_duration_since(Instant::now()),
        };
        let after = after.into();
        NextTimeout { after, reason: Timeout::PerRead, per_read: None, per_write: None }
    }

    /// Takes the orders that have arrived; returns whether reading was, or is, held up.
    fn was_held_up(&self) -> bool {
        let mut was_held_up = self.is_paused();
        for order in self.orders.take() {
            self.is_paused.store(matches!(order, Order::Pause), Ordering::Relaxed);
            was_held_up = true;
        }
        was_held_up
    }

    fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Waits until reading is allowed.
    fn wait(&self) -> Result<(), Cancelled> {
        loop {
            self.was_held_up();
            if self.orders.is_cancelled() {
                return Err(Cancelled);
            }
            if !self.is_paused() {
                return Ok(());
            }
            // If the system cannot wait for lack of memory, try again.
            let _ = self.orders.wait([], None);
        }
    }

    /// Passes on what arrives, until the end. `None` after a cancel.
    pub(crate) fn forward(
        &self,
        op: OpId,
        mut body: impl Read,
        outbox: &Outbox,
    ) -> Result<Option<io::Result<()>>, Gone> {
        self.has_begun.store(true, Ordering::Relaxed);
        let mut scratch = vec![0; READ_BYTES];
        loop {
            if self.wait().is_err() {
                return Ok(None);
            }
            match body.read(&mut scratch) {
                Ok(0) => return Ok(Some(Ok(()))),
                Ok(n) => {
                    let message = Message::Binary(Bytes::copy_from_slice(&scratch[..n]));
                    outbox.post(Event::Received { op, message })?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Some(Err(error))),
            }
        }
    }
}

/// The flow of the response that an agent is currently streaming, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentFlow(Arc<Mutex<Option<Arc<Flow>>>>);

impl CurrentFlow {
    pub(crate) fn set(&self, flow: Option<Arc<Flow>>) {
        *lock(&self.0) = flow;
    }

    fn get(&self) -> Option<Arc<Flow>> {
        lock(&self.0).clone()
    }
}

/// The part of the HTTP client's chain, below TLS, that keeps a flow's time limits.
#[derive(Debug)]
pub(crate) struct FlowConnector(pub(crate) CurrentFlow);

impl<In: Transport> Connector<In> for FlowConnector {
    type Out = FlowTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| FlowTransport { inner, flow: self.0.clone() }))
    }
}

/// A connection whose reader may be paused.
#[derive(Debug)]
pub(crate) struct FlowTransport<T> {
    inner: T,
    flow: CurrentFlow,
}

impl<T: Transport> Transport for FlowTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = self.flow.get().map_or(timeout, |flow| flow.limit());
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let Some(flow) = self.flow.get() else { return self.inner.await_input(timeout) };
        loop {
            match self.inner.await_input(flow.limit()) {
                Err(Error::Timeout(_)) if flow.has_begun() && flow.was_held_up() => {
                    if flow.wait().is_err() {
                        return Err(Error::Io(io::Error::other("cancelled")));
                    }
                }
                other => return other,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
