//! Files of results that may outlive the worker: each stays until the relay has the result (W-7).
//!
//! ```text
//!   session ends ──▶ Save ──▶ Saved ──▶ report ──▶ answered ──▶ Remove
//!                      │ disk full        ▲
//!                      └──────────────────┘
//!   next start ──▶ List ──▶ Load each ────┘
//! ```

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::WorkerConfig;
use super::cx::{Cx, Purpose};
use super::lease::Environment;
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::{MAX_SPOOL_FILE_BYTES, MAX_SPOOLED_RESULTS};
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::to_json;
use crate::wire::worker_api::work::StopWork;

const SUFFIX: &str = ".json";

/// What a file holds. It includes a credential, so only its owner may read it.
#[derive(Serialize, Deserialize)]
struct Spooled<'a> {
    relay: String,
    environment_id: EnvironmentId,
    #[serde(borrow)]
    environment_secret: Cow<'a, str>,
    work_id: WorkId,
    stop: StopWork,
}

impl Spooled<'_> {
    /// Whether its credential can be sent: a file can be damaged and still be JSON.
    fn is_sound(&self) -> bool {
        Secret::from(&*self.environment_secret).is_bearer()
    }
}

/// What a file of the spool turned out to be.
pub(super) enum SpoolFile {
    Missing,
    Broken,
    /// For another relay: it stays for the worker that talks to that relay.
    Foreign,
    Result(Environment, Box<StopWork>),
}

/// The directory of those files, if there is one.
#[derive(Debug)]
pub(super) struct Spool {
    directory: Option<String>,
    reading: Reading,
}

/// How far the files of an earlier run have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    NotBegun,
    Listing,
    /// This many are left.
    Loading(usize),
}

impl Spool {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        let directory = config.state_directory.as_ref().map(|state| format!("{state}/results"));
        Self { directory, reading: Reading::NotBegun }
    }

    pub(super) fn path(&self, work: &WorkId) -> Option<String> {
        self.directory.as_ref().map(|directory| format!("{directory}/{work}{SUFFIX}"))
    }

    /// Saves a result; `false` if there is nowhere to save it.
    pub(super) fn save(
        &self,
        cx: &mut Cx<'_>,
        work: &WorkId,
        environment: &Environment,
        stop: &StopWork,
    ) -> bool {
        let Some(path) = self.path(work) else { return false };
        let data = to_json(&Spooled {
            relay: cx.config.relay.to_string(),
            environment_id: environment.id.clone(),
            environment_secret: Cow::Borrowed(environment.secret.reveal()),
            work_id: work.clone(),
            stop: stop.clone(),
        });
        cx.fx.start(Purpose::Spool(work.clone()), |op| Action::Save { op, path, data });
        true
    }

    /// Lists the files, the first time it is called.
    pub(super) fn list(&mut self, cx: &mut Cx<'_>) {
        if self.reading != Reading::NotBegun {
            return;
        }
        self.reading = Reading::Loading(0);
        if let Some(path) = self.directory.clone() {
            self.reading = Reading::Listing;
            cx.fx.start(Purpose::ListSpool, |op| Action::List { op, path });
        }
    }

    /// Loads the files that were listed, except those that are `known`.
    pub(super) fn load(&mut self, cx: &mut Cx<'_>, event: &Event, known: impl Fn(&WorkId) -> bool) {
        self.reading = Reading::Loading(0);
        let Event::Listed { names, .. } = event else { return };
        let works = names.iter().filter_map(|name| WorkId::new(name.strip_suffix(SUFFIX)?).ok());
        let works: Vec<_> = works.take(MAX_SPOOLED_RESULTS).collect();
        for work in works.into_iter().filter(|work| !known(work)) {
            if let Some(path) = self.path(&work) {
                if let Reading::Loading(left) = &mut self.reading {
                    *left += 1;
                }
                let limit = MAX_SPOOL_FILE_BYTES;
                cx.fx.start(Purpose::LoadSpool(work), |op| Action::Load { op, path, limit });
            }
        }
    }

    /// One of the files has been read.
    pub(super) const fn one_read(&mut self) {
        if let Reading::Loading(left) = &mut self.reading {
            *left = left.saturating_sub(1);
        }
    }

    pub(super) const fn is_being_read(&self) -> bool {
        !matches!(self.reading, Reading::NotBegun | Reading::Loading(0))
    }

    /// Parses what was loaded as the file of `work`.
    pub(super) fn read(cx: &Cx<'_>, work: &WorkId, event: &Event) -> SpoolFile {
        let Event::Loaded { data: Some(data), .. } = event else { return SpoolFile::Missing };
        let spooled = serde_json::from_slice::<Spooled<'_>>(data).ok().filter(Spooled::is_sound);
        let Some(spooled) = spooled else { return SpoolFile::Broken };
        if spooled.relay != cx.config.relay.to_string() || spooled.work_id != *work {
            return SpoolFile::Foreign;
        }
        let environment = Environment {
            id: spooled.environment_id,
            secret: Secret::from(&*spooled.environment_secret),
        };
        SpoolFile::Result(environment, Box::new(spooled.stop))
    }
}
