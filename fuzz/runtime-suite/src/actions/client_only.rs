//! How a runtime without a server side responds.

use footbridge_core::contract::action::Action;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::Runtime;
use crate::harness::Driven;

pub fn server_actions_fail_immediately<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let listen = driven.begin(|op| {
        let limits = ListenLimits::default();
        Action::Listen { op, address: "127.0.0.1:0".to_owned(), limits }
    });
    let Event::Failed { op, failure } = driven.next() else { panic!("it listens") };
    assert_eq!((op, failure.kind), (listen, IoErrorKind::Other));
    driven.end();
}
