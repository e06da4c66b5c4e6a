//! Results that outlive the worker: each is in a file until the relay has it (W-7).
//!
//! ```text
//!   session ends ──▶ Save ──▶ Saved ──▶ report ──▶ answered ──▶ Remove
//!                      │ disk full        ▲
//!                      └──────────────────┘
//!   next start ──▶ List ──▶ Load each ────┘
//! ```

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::api::Environment;
use super::result::Report;
use super::{Purpose, Worker, WorkerNotice};
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::{MAX_SPOOL_FILE_BYTES, MAX_SPOOLED_RESULTS};
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::to_json;
use crate::wire::work::StopWork;

/// What a file of the spool holds. It has a credential in it, so it is for its owner's eyes.
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

const SUFFIX: &str = ".json";

impl Worker {
    fn spool_directory(&self) -> Option<String> {
        self.config.state_directory.as_ref().map(|state| format!("{state}/results"))
    }

    fn spool_path(&self, work: &WorkId) -> Option<String> {
        self.spool_directory().map(|directory| format!("{directory}/{work}{SUFFIX}"))
    }

    /// Writes a result down before it is sent; without a place for it, it is sent at once.
    pub(super) fn spool(&mut self, work: &WorkId) {
        let Some(report) = self.reports.get(work) else { return };
        let Some(path) = self.spool_path(work) else { return self.send_report(work) };
        let data = to_json(&Spooled {
            relay: self.config.relay.to_string(),
            environment_id: report.environment.id.clone(),
            environment_secret: Cow::Borrowed(report.environment.secret.reveal()),
            work_id: work.clone(),
            stop: report.body.clone(),
        });
        let purpose = Purpose::Spool(work.clone());
        self.fx.start(purpose, |op| Action::Save { op, path, data });
    }

    pub(super) fn spooled(&mut self, work: &WorkId, event: &Event) {
        let is_saved = matches!(event, Event::Saved { .. });
        if let Event::Failed { failure, .. } = event {
            let reason = format!("it cannot be kept in a file meanwhile: {failure}");
            self.fx.notify(WorkerNotice::ReportAtRisk { work: work.clone(), reason });
        }
        if let Some(report) = self.reports.get_mut(work) {
            report.is_spooled = is_saved;
        }
        self.send_report(work);
    }

    /// The relay has it, or will never take it.
    pub(super) fn unspool(&mut self, work: &WorkId) {
        if let Some(path) = self.spool_path(work) {
            self.remove_file(path);
        }
    }

    /// Removes a file of the worker's own; a shutdown waits for it.
    pub(super) fn remove_file(&mut self, path: String) {
        self.removals += 1;
        self.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
    }

    /// A result whose file stays is reported once more by the next run, which is harmless.
    pub(super) fn file_removed(&mut self) {
        self.removals -= 1;
        self.shut_down_further();
    }

    /// Looks for results that an earlier run could not report. Once, after registering.
    pub(super) fn look_into_spool(&mut self) {
        if core::mem::replace(&mut self.is_spool_read, true) {
            return;
        }
        if let Some(path) = self.spool_directory() {
            self.fx.start(Purpose::ListSpool, |op| Action::List { op, path });
        }
    }

    pub(super) fn spool_listed(&mut self, event: &Event) {
        let Event::Listed { names, .. } = event else { return };
        let works = names.iter().filter_map(|name| WorkId::new(name.strip_suffix(SUFFIX)?).ok());
        let works: alloc::vec::Vec<_> = works.take(MAX_SPOOLED_RESULTS).collect();
        for work in works.into_iter().filter(|work| !self.reports.contains_key(work)) {
            if let Some(path) = self.spool_path(&work) {
                let limit = MAX_SPOOL_FILE_BYTES;
                self.fx.start(Purpose::LoadSpool(work), |op| Action::Load { op, path, limit });
            }
        }
    }

    pub(super) fn spool_loaded(&mut self, work: &WorkId, event: &Event) {
        let Event::Loaded { data: Some(data), .. } = event else { return };
        let spooled = serde_json::from_slice::<Spooled<'_>>(data).ok().filter(Spooled::is_sound);
        let Some(spooled) = spooled else {
            let reason = String::from("its file is broken, and was removed");
            self.fx.notify(WorkerNotice::ReportLost { work: work.clone(), reason });
            return self.unspool(work);
        };
        // Another relay's result stays for the worker that talks to that relay.
        if spooled.relay != self.config.relay.to_string() || spooled.work_id != *work {
            return;
        }
        let environment = Environment {
            id: spooled.environment_id,
            secret: Secret::from(&*spooled.environment_secret),
        };
        self.completed.insert(work.as_str());
        let since = self.fx.now().mono;
        let mut report = Report::new(environment, spooled.stop, since);
        report.is_spooled = true;
        self.reports.insert(work.clone(), report);
        self.send_report(work);
    }
}
