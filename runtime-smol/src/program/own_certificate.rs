//! A certificate authority of the relay's own, for `--own-certificate` (Y-1, Y-10).
//!
//! A phone trusts the authority once, and then every certificate that it signs. The certificate itself
//! is made at each start, and while the relay runs whenever this machine has another address. The authority may sign
//! for private addresses and for this relay's own names alone: whoever steals its key cannot use it to
//! pass for anything else to those who trust it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use footbridge_cli::exit::Error;
use footbridge_cli::secret_file::{check_directory, check_private_key};
use footbridge_core::base::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};
use serde::{Deserialize, Serialize};

use super::data::TLS;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the authority is valid.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
/// How long a certificate is valid: telephones refuse those of more than 825 days.
const CERTIFICATE_LIFE: Duration = DAY.saturating_mul(800);
/// Clocks of clients may be behind.
const CLOCK_SKEW: Duration = DAY;

/// Addresses that are nobody's in public, and those of this machine itself.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// The files of a relay's own certificate.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
    /// The authority's certificate, which clients are to trust.
    pub(super) authority: PathBuf,
    /// The same, as text.
    pub(super) authority_pem: String,
    /// Whether the authority was made just now: nobody trusts it yet.
    pub(super) is_new: bool,
}

/// What an authority may sign for, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Authority {
    common_name: String,
    names: Vec<String>,
    networks: Vec<String>,
}

/// Makes a certificate for these names and addresses, and the authority if there is none yet that may
/// sign for them.
pub(super) fn prepare(
    data: &Path,
    machine: &str,
    names: &[String],
    addresses: &[IpAddr],
) -> Result<OwnCertificate, Error> {
    let folder = data.join(TLS);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| {
        Error::disk(format_args!("cannot make the directory {}", folder.display()), &error)
    })?;
    let authority_key = folder.join("authority-key.pem");
    if authority_key.exists() {
        // Whoever has it can pass for this relay to all who trust it.
        check_private_key(&authority_key)?;
        check_directory(&folder, "authority's key")?;
    }
    let wanted = Authority::of(machine, names, addresses);
    let kept = Authority::read(&folder).filter(|(kept, ..)| kept.covers(&wanted));
    let is_new = kept.is_none();
    let (authority, key, pem) = kept.map_or_else(|| wanted.make(&folder), Ok)?;
    let (chain, key) = issue(&folder, &authority, key, names, addresses)?;
    let authority = folder.join("authority.pem");
    Ok(OwnCertificate { chain, key, authority, authority_pem: pem, is_new })
}

/// Makes another certificate for these names and addresses while the relay runs, by the authority that
/// there is: addresses for which that one may not sign are left out.
pub(super) fn renew(data: &Path, names: &[String], addresses: &[IpAddr]) -> Result<(), Error> {
    let folder = data.join(TLS);
    let (authority, key, _) = Authority::read(&folder).ok_or_else(|| {
        Error::local(format!(
            "the authority's files in {} are gone: bring them back from a backup, or the next start makes another authority, which every device has to trust anew",
            folder.display()
        ))
    })?;
    let own = addresses.iter().copied().filter(|address| is_in(&authority.networks, *address));
    let own: Vec<_> = own.collect();
    issue(&folder, &authority, key, names, &own).map(drop)
}

/// Makes a certificate, and returns the files of its chain and of its key.
fn issue(
    folder: &Path,
    authority: &Authority,
    authority_key: KeyPair,
    names: &[String],
    addresses: &[IpAddr],
) -> Result<(PathBuf, PathBuf), Error> {
    let issuer = Issuer::new(authority.params()?, authority_key);
    let own_key = KeyPair::generate().map_err(unmade)?;
    let own = certificate(names, addresses)?.signed_by(&own_key, &issuer).map_err(unmade)?;
    let (chain, key) = (folder.join("certificate.pem"), folder.join("certificate-key.pem"));
    write(&key, &own_key.serialize_pem())?;
    write(&chain, &own.pem())?;
    Ok((chain, key))
}

impl Authority {
    fn of(machine: &str, names: &[String], addresses: &[IpAddr]) -> Self {
        let mut networks: Vec<String> = PRIVATE.iter().map(|net| (*net).to_owned()).collect();
        for address in addresses {
            if !is_in(&networks, *address) {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                networks.push(format!("{address}/{bits}"));
            }
        }
        let mut names: Vec<String> =
            names.iter().map(|name| name.trim_start_matches("*.").to_owned()).collect();
        names.sort();
        names.dedup();
        Self { common_name: format!("Footbridge on {machine}"), names, networks }
    }

    /// Whether it may sign for all that another one may.
    fn covers(&self, wanted: &Self) -> bool {
        wanted.names.iter().all(|name| self.names.contains(name))
            && wanted.networks.iter().all(|network| {
                let address = network.split_once('/').map_or(&**network, |(address, _)| address);
                self.networks.contains(network)
                    || address.parse().is_ok_and(|address| is_in(&self.networks, address))
            })
    }

    /// The one of an earlier start with its key and certificate, if all of it is there.
    fn read(folder: &Path) -> Option<(Self, KeyPair, String)> {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let key = Secret::new(text("authority-key.pem")?);
        let key = KeyPair::from_pem(key.reveal()).ok()?;
        Some((serde_json::from_str(&text("authority.json")?).ok()?, key, text("authority.pem")?))
    }

    /// Makes it. What it may sign for is written last: without that, the rest does not count.
    fn make(self, folder: &Path) -> Result<(Self, KeyPair, String), Error> {
        let key = KeyPair::generate().map_err(unmade)?;
        let pem = self.params()?.self_signed(&key).map_err(unmade)?.pem();
        let json = serde_json::to_string(&self).map_err(|error| Error::local(error.to_string()))?;
        // A key and a certificate that do not belong together must never be taken for a pair.
        let about = folder.join("authority.json");
        if let Err(error) = std::fs::remove_file(&about)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(unwritten(&about, &error));
        }
        write(&folder.join("authority-key.pem"), &key.serialize_pem())?;
        write(&folder.join("authority.pem"), &pem)?;
        write(&about, &json)?;
        Ok((self, key, pem))
    }

    fn params(&self) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = called(&self.common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let names = self.names.iter().map(|name| Ok(GeneralSubtree::DnsName(name.clone())));
        let networks = self.networks.iter().map(|network| {
            let subnet: Result<CidrSubnet, ()> = network.parse();
            subnet.map(GeneralSubtree::IpAddress).map_err(|()| {
                Error::local(format!("{network:?} in authority.json is not a network"))
            })
        });
        let permitted_subtrees = names.chain(networks).collect::<Result<_, Error>>()?;
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        valid(&mut params, AUTHORITY_LIFE);
        Ok(params)
    }
}

/// Whether one of these networks has this address.
fn is_in(networks: &[String], address: IpAddr) -> bool {
    networks.iter().any(|network| {
        let Some((base, bits)) = network.split_once('/') else { return false };
        let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else {
            return false;
        };
        match (base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(bits);
                base.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(bits);
                base.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    })
}

fn certificate(names: &[String], addresses: &[IpAddr]) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names.to_vec())
        .map_err(|error| Error::usage(format!("a name of this relay is not one: {error}")))?;
    params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    params.distinguished_name = called("Footbridge");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, CERTIFICATE_LIFE);
    Ok(params)
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn valid(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + now + life;
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unmade(error: rcgen::Error) -> Error {
    Error::local(format!("cannot make a certificate: {error}"))
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    Error::disk(format_args!("cannot write {}", path.display()), error)
}

/// Replaces a file that only its owner can read.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).map_err(|error| unwritten(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn of(data: &Path, own: &[&str], addresses: &[&str]) -> OwnCertificate {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().expect("one")).collect();
        prepare(data, "box", &names(own), &addresses).expect("it is made")
    }

    #[test]
    fn the_authority_stays_and_the_certificate_is_made_at_each_start() {
        let data = tempfile::tempdir().expect("a directory");
        let first = of(data.path(), &["box", "localhost"], &["127.0.0.1", "192.168.1.7"]);
        let before = std::fs::read_to_string(&first.chain).expect("a file");
        assert!(first.is_new);
        // At another place in another network.
        let second = of(data.path(), &["box", "localhost"], &["127.0.0.1", "10.0.0.9"]);
        assert!(!second.is_new);
        assert_eq!(second.authority_pem, first.authority_pem);
        assert_ne!(std::fs::read_to_string(&second.chain).expect("a file"), before);
    }

    #[test]
    fn a_running_relay_gets_a_certificate_for_new_addresses_by_the_same_authority_or_none() {
        let data = tempfile::tempdir().expect("a directory");
        let first = of(data.path(), &["box"], &["192.168.1.7"]);
        let certificate =
            footbridge_smol::Certificate { chain: first.chain.clone(), key: first.key.clone() };
        let is_for =
            |text: &str| certificate.is_for(text.parse().expect("one")).expect("a certificate");
        assert!(is_for("192.168.1.7") && !is_for("10.1.2.3"));
        let addresses = ["10.1.2.3", "203.0.113.5"].map(|text| text.parse().expect("one"));
        renew(data.path(), &names(&["box"]), &addresses).expect("it is made");
        assert!(
            is_for("10.1.2.3") && !is_for("203.0.113.5"),
            "a public one needs another authority"
        );
        let now = std::fs::read_to_string(&first.authority).expect("a file");
        assert_eq!(now, first.authority_pem);
        std::fs::remove_dir_all(data.path().join(TLS)).expect("removed");
        let lost = renew(data.path(), &names(&["box"]), &addresses).expect_err("no authority");
        assert!(lost.message.contains("from a backup"), "{}", lost.message);
        assert!(!data.path().join(TLS).exists(), "no other one is made");
    }

    #[test]
    fn an_authority_whose_key_others_can_read_or_replace_is_refused() {
        let data = tempfile::tempdir().expect("a directory");
        of(data.path(), &["box"], &["192.168.1.7"]);
        let folder = data.path().join(TLS);
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("changed");
        };
        let refused = || {
            let again = prepare(data.path(), "box", &names(&["box"]), &[]);
            again.expect_err("refused").message
        };
        mode(&folder.join("authority-key.pem"), 0o644);
        assert!(refused().contains("chmod 600"), "{}", refused());
        mode(&folder.join("authority-key.pem"), 0o600);
        mode(&folder, 0o777);
        assert!(refused().contains("chmod go-w"), "{}", refused());
        mode(&folder, 0o700);
        assert!(!of(data.path(), &["box"], &["192.168.1.7"]).is_new);
    }

    #[test]
    fn what_the_authority_may_not_sign_for_takes_another_one() {
        let data = tempfile::tempdir().expect("a directory");
        let first = of(data.path(), &["box"], &["192.168.1.7"]);
        let named = of(data.path(), &["box", "relay.example"], &["192.168.1.7"]);
        assert!(named.is_new);
        assert_ne!(named.authority_pem, first.authority_pem);
        assert!(of(data.path(), &["box"], &["203.0.113.5"]).is_new, "a public address");
        assert!(!of(data.path(), &["box"], &["203.0.113.5"]).is_new);
    }

    #[test]
    fn one_that_was_not_made_to_the_end_is_made_again() {
        let data = tempfile::tempdir().expect("a directory");
        let first = of(data.path(), &["box"], &[]);
        for name in ["authority.json", "authority-key.pem", "authority.pem"] {
            std::fs::remove_file(data.path().join(TLS).join(name)).expect("it was there");
            assert!(of(data.path(), &["box"], &[]).is_new, "{name}");
        }
        assert_ne!(of(data.path(), &["box"], &[]).authority_pem, first.authority_pem);
    }

    #[test]
    fn private_networks_end_where_they_do() {
        let networks = names(&PRIVATE);
        for (address, is_private) in [
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("100.127.0.1", true),
            ("100.128.0.1", false),
            ("fdff::1", true),
            ("fe00::1", false),
            ("::2", false),
        ] {
            assert_eq!(is_in(&networks, address.parse().expect("one")), is_private, "{address}");
        }
    }
}
