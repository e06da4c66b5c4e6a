//! What is promised (the design's list), each as a judge of what can be seen from outside.

use crate::clock::Time;
use crate::fact::Fact;

/// One promise.
pub(crate) trait Promise {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Takes a fact in; `Err` says how it breaks the promise.
    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String>;
    /// What must be true when everything has come to rest.
    fn end(&mut self, _: Time) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
pub(crate) struct Promises {
    all: Vec<Box<dyn Promise>>,
    calm_since: Option<Time>,
}

impl Promises {
    pub(crate) fn new() -> Self {
        Self { all: vec![], calm_since: None }
    }

    pub(crate) const fn calm_since(&self) -> Option<Time> {
        self.calm_since
    }

    pub(crate) fn see(&mut self, at: Time, fact: &Fact) -> Option<(&'static str, String)> {
        if matches!(fact, Fact::Calm) {
            self.calm_since = Some(at);
        }
        for promise in &mut self.all {
            if let Err(words) = promise.see(at, fact) {
                return Some((promise.name(), words));
            }
        }
        None
    }

    pub(crate) fn end(&mut self, at: Time) -> Option<(&'static str, String)> {
        for promise in &mut self.all {
            if let Err(words) = promise.end(at) {
                return Some((promise.name(), words));
            }
        }
        None
    }
}
