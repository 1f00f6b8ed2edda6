//! Routes to other hosts' containers: which are there, and how they get there.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::error::Problem;
use super::store::{self, Installed};
use super::trial::{self, Trial};
use crate::artifact::{Bundle, RouteEntry};
use crate::host::Host;
use crate::netfilter::Family;

/// A route of the main table, as `ip -json route` prints it; ip-route(8).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Live {
    /// A prefix, an address, or `default`.
    dst: String,
    gateway: Option<IpAddr>,
    dev: Option<String>,
}

impl Live {
    fn prefix(&self) -> Option<IpNet> {
        let address = || self.dst.parse::<IpAddr>().ok().map(IpNet::from);
        self.dst.parse().ok().or_else(address)
    }

    fn is(&self, route: &RouteEntry) -> bool {
        let device = route.device.is_none() || route.device == self.dev;
        self.prefix() == Some(route.prefix) && self.gateway == Some(route.via) && device
    }

    /// Returns the line for `ip -batch` that brings it back.
    fn line(&self) -> String {
        let via = self.gateway.map(|via| format!(" via {via}"));
        let device = self.dev.as_ref().map(|device| format!(" dev {device}"));
        let [via, device] = [via, device].map(Option::unwrap_or_default);
        format!("route replace {}{via}{device}\n", self.dst)
    }
}

/// One route as wanted, and what was there for its prefix before.
#[derive(Debug)]
struct Wanted<'a> {
    entry: &'a RouteEntry,
    before: Option<Live>,
}

impl Wanted<'_> {
    fn is_done(&self) -> bool {
        self.before.as_ref().is_some_and(|live| live.is(self.entry))
    }

    fn undo(&self) -> String {
        match &self.before {
            Some(live) => live.line(),
            None => delete(self.entry),
        }
    }
}

/// What has to become of the machine's routes.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    wanted: Vec<Wanted<'a>>,
    /// Those of the bundle before that this one has no more, where they are still there.
    stale: Vec<RouteEntry>,
}

impl<'a> Routes<'a> {
    /// Looks at the machine, and changes nothing. What is installed may have routes that have to go.
    pub(super) fn new(
        host: &dyn Host,
        bundle: &'a Bundle,
        installed: &Installed,
    ) -> Result<Self, Problem> {
        let entries = &bundle.manifest().routes;
        let mut old = match installed {
            Installed::Other(old) => old.manifest().routes.clone(),
            Installed::Same | Installed::Nothing => Vec::new(),
        };
        if trial::of(host)?.is_some() {
            let on_trial = Trial::bundle(host).ok();
            old.extend(on_trial.map_or_else(Vec::new, |it| it.manifest().routes.clone()));
        }
        if entries.is_empty() && old.is_empty() {
            let (wanted, stale) = (Vec::new(), Vec::new());
            return Ok(Routes { wanted, stale });
        }
        let live = live(host)?;
        let prefixes: Vec<IpNet> = entries.iter().map(|entry| entry.prefix).collect();
        let is_stale = |old: &RouteEntry| {
            !prefixes.contains(&old.prefix) && live.iter().any(|live| live.is(old))
        };
        Ok(Routes {
            wanted: wanted(host, bundle, &live),
            stale: old.into_iter().filter(is_stale).collect(),
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.stale.is_empty() && self.wanted.iter().all(Wanted::is_done)
    }

    /// Returns what has to be done in words.
    pub(super) fn steps(&self) -> Vec<String> {
        let missing = self.wanted.iter().filter(|route| !route.is_done());
        let new = missing.map(|route| {
            let RouteEntry {
                prefix,
                via,
                source,
                ..
            } = route.entry;
            format!("route to {prefix} via {via}, {source}")
        });
        let gone = self.stale.iter();
        let gone =
            gone.map(|route| format!("the route to {} via {} goes", route.prefix, route.via));
        new.chain(gone).collect()
    }

    /// Returns lines for `ip -batch` that bring back the routes of others which ours replace.
    pub(super) fn replaced(&self) -> Vec<String> {
        let missing = self.wanted.iter().filter(|route| !route.is_done());
        missing
            .filter_map(|route| Some(route.before.as_ref()?.line()))
            .collect()
    }

    /// Sets what is missing, one by one, so that an error names its line of the policy.
    pub(super) fn put(&self, host: &dyn Host) -> Result<(), Problem> {
        for route in self.wanted.iter().filter(|route| !route.is_done()) {
            set(host, route.entry)?;
        }
        for route in &self.stale {
            host.routes_batch(&delete(route))?;
        }
        Ok(())
    }

    /// Like [`Routes::put`] while the machine starts: a next hop may not be there yet. Returns a note
    /// for each that has to wait.
    pub(super) fn put_what_can_be(&self, host: &dyn Host) -> Vec<String> {
        let missing = self.wanted.iter().filter(|route| !route.is_done());
        let failed = missing.filter(|route| set(host, route.entry).is_err());
        let note = |route: &Wanted<'_>| {
            let RouteEntry { prefix, source, .. } = route.entry;
            format!("{source}: the route to {prefix} waits for its interface")
        };
        failed.map(note).collect()
    }

    /// Puts back what was there before.
    pub(super) fn undo(&self, host: &dyn Host) -> Result<(), Problem> {
        let mut text = String::new();
        let live = if self.is_done() {
            Vec::new()
        } else {
            live(host)?
        };
        for route in self.wanted.iter().filter(|route| !route.is_done()) {
            if live.iter().any(|live| live.is(route.entry)) {
                text.push_str(&route.undo());
            }
        }
        for route in &self.stale {
            text.push_str(&replace(route));
        }
        if text.is_empty() {
            return Ok(());
        }
        Ok(host.routes_batch(&text)?)
    }
}

/// Returns the routes of a bundle that this kernel can have.
fn wanted<'b>(host: &dyn Host, bundle: &'b Bundle, live: &[Live]) -> Vec<Wanted<'b>> {
    let entries = bundle.manifest().routes.iter();
    let here = entries.filter(|entry| is_possible(host, entry));
    let found = |entry: &'b RouteEntry| Wanted {
        entry,
        before: before(live, entry),
    };
    here.map(found).collect()
}

/// Returns the routes of a bundle as they are on this machine, which is asked only if there are any.
fn of_bundle<'b>(host: &dyn Host, bundle: &'b Bundle) -> Result<Vec<Wanted<'b>>, Problem> {
    if bundle.manifest().routes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(wanted(host, bundle, &live(host)?))
}

/// Returns the routes of a bundle that are not there, each with what is there instead.
pub(super) fn missing<'b>(
    host: &dyn Host,
    bundle: &'b Bundle,
) -> Result<Vec<(&'b RouteEntry, Option<String>)>, Problem> {
    let routes = of_bundle(host, bundle)?;
    let missing = routes.into_iter().filter(|route| !route.is_done());
    let instead = |route: Wanted<'b>| {
        let before = route.before.map(|live| live.line());
        (route.entry, before.map(|line| line.trim_end().to_owned()))
    };
    Ok(missing.map(instead).collect())
}

/// Removes the routes of the installed bundle that are there.
pub(super) fn remove(host: &dyn Host) -> Result<(), Problem> {
    match store::installed(host).ok().flatten() {
        Some(bundle) => remove_of(host, &bundle),
        None => Ok(()),
    }
}

/// Removes the routes of a bundle that are there.
pub(super) fn remove_of(host: &dyn Host, bundle: &Bundle) -> Result<(), Problem> {
    let routes = of_bundle(host, bundle)?;
    let there = routes.iter().filter(|route| route.is_done());
    let text: String = there.map(|route| delete(route.entry)).collect();
    if text.is_empty() {
        return Ok(());
    }
    Ok(host.routes_batch(&text)?)
}

fn set(host: &dyn Host, route: &RouteEntry) -> Result<(), Problem> {
    host.routes_batch(&replace(route))
        .map_err(|error| Problem::Route {
            place: route.source.clone(),
            error,
        })
}

fn replace(route: &RouteEntry) -> String {
    line("replace", route)
}

fn delete(route: &RouteEntry) -> String {
    line("del", route)
}

fn line(verb: &str, route: &RouteEntry) -> String {
    let mut text = format!("route {verb} {} via {}", route.prefix, route.via);
    if let Some(device) = &route.device {
        // Writing to a String cannot fail.
        let _ = write!(text, " dev {device}");
    }
    text + " proto static\n"
}

fn before(live: &[Live], route: &RouteEntry) -> Option<Live> {
    let same = |live: &&Live| live.prefix() == Some(route.prefix);
    let exact = live.iter().find(|live| live.is(route));
    exact.or_else(|| live.iter().find(same)).cloned()
}

fn is_possible(host: &dyn Host, route: &RouteEntry) -> bool {
    route.via.is_ipv4() || host.has_ipv6()
}

fn live(host: &dyn Host) -> Result<Vec<Live>, Problem> {
    let mut found = Vec::new();
    for family in super::converge::families(host) {
        let text = host.routes(family)?;
        found.extend(parse(family, &text)?);
    }
    Ok(found)
}

fn parse(family: Family, text: &str) -> Result<Vec<Live>, Problem> {
    // Without any route `ip` prints nothing, or an empty list.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| Problem::RoutesUnreadable { family, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_ip_prints_them() {
        let text = r#"[{"dst":"default","gateway":"192.0.2.254","dev":"eth0","flags":[]},
            {"dst":"10.0.0.0/8","gateway":"192.0.2.7","dev":"eth0","protocol":"static","flags":[]},
            {"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link","flags":[]}]"#;
        let live = parse(Family::V4, text).unwrap();
        let route = RouteEntry {
            prefix: "10.0.0.0/8".parse().unwrap(),
            via: "192.0.2.7".parse().unwrap(),
            device: None,
            source: "p.tide:1".to_owned(),
        };
        assert_eq!(live.iter().filter(|live| live.is(&route)).count(), 1);
        assert_eq!(live[0].prefix(), None);
        assert_eq!(
            live[1].line(),
            "route replace 10.0.0.0/8 via 192.0.2.7 dev eth0\n"
        );
        assert!(parse(Family::V6, "\n").unwrap().is_empty());
        assert!(parse(Family::V6, "[{]").is_err());
    }
}
