//! What follows a relay's certificate while it runs: a machine has other addresses in another network,
//! and files that are replaced may be for other names.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::value::Level;
use footbridge_core::relay::RelayCommand;
use smol::Timer;

use super::presented::{Own, Presented, addresses};

/// How soon a relay notices.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How old a certificate of the relay's own becomes, which is valid for longer.
const RENEWED_AFTER: Duration = Duration::from_secs(300 * 24 * 60 * 60);

impl Own {
    /// Makes another one if this machine has an address that it is not for, or if it is old. Returns
    /// whether it has.
    fn follow(&mut self) -> Result<bool, Error> {
        let mut now = addresses();
        now.extend(&self.further);
        let is_old = self.made.elapsed().is_ok_and(|age| age >= RENEWED_AFTER);
        if !is_old && now.iter().all(|address| self.addresses.contains(address)) {
            return Ok(false);
        }
        renew(self, &now)?;
        (self.addresses, self.made) = (now, SystemTime::now());
        Ok(true)
    }
}

#[cfg(feature = "tls")]
fn renew(own: &Own, addresses: &[IpAddr]) -> Result<(), Error> {
    super::own_certificate::renew(&own.data, &own.names, addresses)
}

#[cfg(not(feature = "tls"))]
fn renew(Own { data, names, .. }: &Own, _: &[IpAddr]) -> Result<(), Error> {
    let data = data.display();
    Err(Error::usage(format!("this build has no TLS, for a certificate of {names:?} in {data}")))
}

/// Keeps a relay's own certificate for the addresses that its machine has, and tells the relay for which
/// names it is.
pub(super) async fn follow<T>(
    log: EventLog,
    presented: Option<&Presented>,
    tell: impl Fn(RelayCommand),
) -> T {
    let Some(presented) = presented else { return std::future::pending().await };
    let mut names = presented.certificate.names().unwrap_or_default();
    let (mut own, mut said) = (presented.own.clone(), None);
    loop {
        Timer::after(LOOK_AGAIN_AFTER).await;
        match own.as_mut().map_or(Ok(false), Own::follow) {
            Ok(true) => {
                let words = format_args!(
                    "made another certificate, for the addresses that this machine has now: the authority is the same"
                );
                log.write(Level::Info, "certificate_made", &[], words);
                said = None;
            }
            Ok(false) => {}
            // Once is enough, until something else is wrong.
            Err(error) if said.as_ref() == Some(&error.message) => {}
            Err(error) => {
                let words = format_args!(
                    "this machine has an address that its certificate is not for: {}",
                    error.message
                );
                log.write(Level::Warn, "certificate_not_made", &[], words);
                said = Some(error.message);
            }
        }
        if let Ok(now) = presented.certificate.names()
            && now != names
        {
            tell(RelayCommand::SetCertifiedNames { names: now.clone() });
            names = now;
        }
    }
}
