//! Promise 14: This version works together with the one before it and the next one: nobody who
//! follows the interface is told that what it sends is malformed, and no link ends because the
//! other side did not understand a frame. (That no worker ends and no session fails is judged by
//! the other promises.)

use super::Promise;
use crate::fact::Fact;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct TwoVersions;

impl Promise for TwoVersions {
    fn name(&self) -> &'static str {
        "two versions"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Refused { what, status: 400 | 405 | 413 | 426, why } => {
                Err(format!("{what} was refused: {why}"))
            }
            Fact::Misunderstood { what, code: code @ (1002 | 1003 | 1007 | 1008) } => {
                Err(format!("{what} was closed with {code}"))
            }
            _ => Ok(()),
        }
    }
}
