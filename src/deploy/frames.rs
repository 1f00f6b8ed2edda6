//! Frames with VLAN tags, which iptables does not see: closed by a table of nftables, loaded by itself so
//! that a kernel without it refuses nothing else; without nftables by a setting, which closes one tag.

use super::error::Problem;
use super::report::{Drift, DriftKind};
use crate::artifact::{BRIDGE, Bundle, BundleError};
use crate::host::{Host, HostError};
use crate::netfilter::bridge::{Closed, REMOVE};

/// Has frames with one tag meet iptables; Documentation/networking/ip-sysctl.rst.
pub(super) const ONE_TAG: &str = "net/bridge/bridge-nf-filter-vlan-tagged";

/// How frames are to be closed on this machine.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    /// Nothing is to be closed.
    Nothing,
    /// Why there can be no table.
    OneTag(String),
    Table(Closed),
}

/// What is there in the table's place.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Table(Closed),
    /// Nothing of ours, or something that somebody has changed.
    Other,
    /// Why nobody knows. The rest of a machine is put right all the same.
    Unread(String),
}

/// What is to be done about frames with tags.
#[derive(Debug)]
pub(super) struct Frames {
    means: Means,
    before: Found,
    /// Of [`ONE_TAG`]; nothing where there is no such setting.
    tagged: Option<String>,
}

impl Frames {
    /// Looks at the machine, and changes nothing. A `boot` is not to end at an nft that fails.
    pub(super) fn new(host: &dyn Host, bundle: &Bundle, boot: bool) -> Result<Self, Problem> {
        let before = match found(host) {
            Err(_) if boot => Found::Other,
            Err(error) => Found::Unread(error.to_string()),
            Ok(found) => found,
        };
        Frames::beside(host, bundle, before)
    }

    fn beside(host: &dyn Host, bundle: &Bundle, before: Found) -> Result<Self, Problem> {
        let means = match wanted(bundle)? {
            None => Means::Nothing,
            Some(_) if before == Found::Table(Closed::Ports) => Means::Table(Closed::Ports),
            Some(closed) => means(host, closed),
        };
        let tagged = host.sysctl(ONE_TAG)?;
        Ok(Frames {
            means,
            before,
            tagged,
        })
    }

    /// Says why nobody knows whether frames with tags pass.
    pub(super) fn not_compared(&self) -> Option<String> {
        match &self.before {
            Found::Unread(why) => Some(format!("table bridge tidegate of nftables: {why}")),
            Found::Nothing | Found::Other | Found::Table(_) => None,
        }
    }

    /// Tells whether nothing is to be done, or nothing can be.
    pub(super) fn is_done(&self) -> bool {
        if let Found::Unread(_) = self.before {
            return true;
        }
        match &self.means {
            Means::Nothing => self.before == Found::Nothing,
            Means::OneTag(_) => self.tagged.as_ref().is_none_or(|value| is_on(value)),
            Means::Table(closed) => matches!(&self.before, Found::Table(there) if there == closed),
        }
    }

    /// Returns what is to be done, in words.
    pub(super) fn step(&self) -> Option<String> {
        let does = match &self.means {
            _ if self.is_done() => return None,
            Means::Nothing => "table bridge tidegate of nftables goes",
            Means::OneTag(_) => "net.bridge.bridge-nf-filter-vlan-tagged becomes 1",
            Means::Table(_) => "table bridge tidegate of nftables is loaded",
        };
        Some(does.to_owned())
    }

    /// Returns what stays open.
    pub(super) fn note(&self) -> Option<String> {
        match &self.means {
            _ if self.not_compared().is_some() => None,
            Means::OneTag(why) => Some(format!(
                "frames with two VLAN tags pass between containers of one bridge, whatever the policy \
                 says: {why}"
            )),
            Means::Nothing | Means::Table(_) => None,
        }
    }

    /// Returns the setting that [`Frames::put`] changes, with its value of now.
    pub(super) fn setting_before(&self) -> Option<(&'static str, &str)> {
        let changes = matches!(self.means, Means::OneTag(_)) && !self.is_done();
        self.tagged
            .as_deref()
            .filter(|_| changes)
            .map(|value| (ONE_TAG, value.trim_end()))
    }

    pub(super) fn put(&self, host: &dyn Host) -> Result<(), Problem> {
        match &self.means {
            _ if self.is_done() => Ok(()),
            Means::Nothing => Ok(host.nft_load(REMOVE)?),
            // A module that was not there may have brought it by now.
            Means::OneTag(_) => set(host, "1"),
            Means::Table(closed) => load(host, closed),
        }
    }

    /// Puts back what was there; what somebody had changed is not.
    pub(super) fn undo(&self, host: &dyn Host) -> Result<(), Problem> {
        if self.is_done() {
            return Ok(());
        }
        if let Some((_, value)) = self.setting_before() {
            set(host, value)?;
        }
        match &self.before {
            Found::Nothing => remove(host),
            Found::Table(closed) if Found::Table(closed.clone()) != found(host)? => {
                load(host, closed)
            }
            Found::Other | Found::Table(_) | Found::Unread(_) => Ok(()),
        }
    }
}

/// What frames with tags may do beside what the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenFrames {
    /// Those with one tag are held back by a setting, others by nothing; why there is no table.
    SeveralTags(String),
    /// They are held back between all containers of all bridges, since the kernel cannot tell bridges apart.
    Nowhere,
}

/// Returns what is to be known of frames with tags on a machine with a bundle; nothing where the bundle's
/// own table holds them back, or needs none.
///
/// Errors: an nft that does not say what is there.
pub fn open_frames(host: &dyn Host, bundle: &Bundle) -> Result<Option<OpenFrames>, Problem> {
    Ok(match Frames::beside(host, bundle, found(host)?)?.means {
        Means::OneTag(why) => Some(OpenFrames::SeveralTags(why)),
        Means::Table(Closed::Ports) => Some(OpenFrames::Nowhere),
        Means::Nothing | Means::Table(Closed::Bridges(_)) => None,
    })
}

/// Returns how the machine differs from a bundle.
pub(super) fn drift(host: &dyn Host, bundle: &Bundle) -> Result<Option<Drift>, Problem> {
    let frames = Frames::new(host, bundle, false)?;
    if let Some(why) = frames.not_compared() {
        return Ok(Some(Drift::new(DriftKind::TableUnread).says(why)));
    }
    if frames.is_done() {
        return Ok(None);
    }
    if let Some((_, value)) = frames.setting_before() {
        let says = ONE_TAG.replace('/', ".");
        let drift = Drift::new(DriftKind::SysctlDiffers).says(says).wanted("1");
        return Ok(Some(drift.found(value)));
    }
    let says = match (&frames.means, &frames.before) {
        (Means::Nothing, _) => "is there, and the policy has no use for it",
        (_, Found::Nothing) => "is not there: frames with VLAN tags pass between containers",
        _ => "is not the bundle's",
    };
    let says = format!("table bridge tidegate of nftables {says}");
    Ok(Some(Drift::new(DriftKind::BridgeTable).says(says)))
}

/// Takes the table away, if it is there.
pub(super) fn remove(host: &dyn Host) -> Result<(), Problem> {
    if host.bridge_table()?.is_some() {
        host.nft_load(REMOVE)?;
    }
    Ok(())
}

fn wanted(bundle: &Bundle) -> Result<Option<Closed>, Problem> {
    let text = bundle.file(BRIDGE);
    if text.is_empty() {
        return Ok(None);
    }
    let why = "it is not what tidegate writes".to_owned();
    let unread = BundleError::Unread { file: BRIDGE, why };
    Closed::of_text(text)
        .ok_or(Problem::Bundle(unread))
        .map(Some)
}

fn found(host: &dyn Host) -> Result<Found, HostError> {
    let listing = host.bridge_table()?;
    let read = |listing: String| match Closed::of_listing(&listing) {
        Some(closed) => Found::Table(closed),
        None => Found::Other,
    };
    Ok(listing.map_or(Found::Nothing, read))
}

/// Returns the best that the kernel takes.
fn means(host: &dyn Host, closed: Closed) -> Means {
    if host.nft_check(&closed.text()).is_ok() {
        return Means::Table(closed);
    }
    match host.nft_check(&Closed::Ports.text()) {
        Ok(()) => Means::Table(Closed::Ports),
        Err(error) => Means::OneTag(error.to_string()),
    }
}

fn load(host: &dyn Host, closed: &Closed) -> Result<(), Problem> {
    host.nft_load(&closed.text())?;
    match found(host)? {
        Found::Table(there) if there == *closed => Ok(()),
        _ => Err(Problem::BridgeTable),
    }
}

fn set(host: &dyn Host, value: &str) -> Result<(), Problem> {
    match host.sysctl(ONE_TAG)? {
        Some(now) if now.trim_end() != value => Ok(host.set_sysctl(ONE_TAG, value)?),
        _ => Ok(()),
    }
}

fn is_on(value: &str) -> bool {
    value.trim_end() == "1"
}
