//! The real host, but for faults that no test can produce on a healthy machine.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidegate::facts::Facts;
use tidegate::host::{
    Access, ContainerPowers, EngineFacts, Flow, Host, HostError, LinuxHost, Lock, Moment, Variant,
};
use tidegate::netfilter::Family;

/// What the test has happen at a call.
pub(crate) type Fault = Box<dyn FnMut(&Call<'_>) -> bool>;

/// A call that can be made to fail.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    Arm,
    Flows,
    Rehearse,
    Rename(&'a str),
    Restore(Family, &'a str),
    /// Something below the root folder is written or removed.
    Write,
}

pub(crate) struct Faulty {
    pub(crate) inner: LinuxHost,
    pub(crate) ipv6: bool,
    /// What the kernel calls this boot, where a test has the machine start again.
    pub(crate) boot: Option<String>,
    /// Returns whether the call fails.
    pub(crate) fault: RefCell<Fault>,
}

impl Faulty {
    pub(crate) fn new(inner: LinuxHost, fault: impl FnMut(&Call<'_>) -> bool + 'static) -> Self {
        Faulty {
            inner,
            ipv6: true,
            boot: None,
            fault: RefCell::new(Box::new(fault)),
        }
    }

    fn check(&self, call: &Call<'_>) -> Result<(), HostError> {
        if (self.fault.borrow_mut())(call) {
            return Err(HostError::Command {
                command: format!("{call:?}"),
                status: "exit status: 1".to_owned(),
                stderr: "the test wants this to fail".to_owned(),
            });
        }
        Ok(())
    }
}

impl Host for Faulty {
    fn lock(&self) -> Result<Lock, HostError> {
        self.inner.lock()
    }

    fn has_ipv6(&self) -> bool {
        self.ipv6 && self.inner.has_ipv6()
    }

    fn save(&self, family: Family) -> Result<String, HostError> {
        assert!(family == Family::V4 || self.ipv6, "no IPv6 here");
        self.inner.save(family)
    }

    fn restore(&self, family: Family, text: &str) -> Result<(), HostError> {
        assert!(family == Family::V4 || self.ipv6, "no IPv6 here");
        self.check(&Call::Restore(family, text))?;
        self.inner.restore(family, text)
    }

    fn rehearse(&self, family: Family, texts: &[&str]) -> Result<String, HostError> {
        self.check(&Call::Rehearse)?;
        self.inner.rehearse(family, texts)
    }

    fn sysctl(&self, path: &str) -> Result<Option<String>, HostError> {
        self.inner.sysctl(path)
    }

    fn set_sysctl(&self, path: &str, value: &str) -> Result<(), HostError> {
        self.inner.set_sysctl(path, value)
    }

    fn routes(&self, family: Family) -> Result<String, HostError> {
        self.inner.routes(family)
    }

    fn addresses(&self) -> Result<String, HostError> {
        self.inner.addresses()
    }

    fn flows(&self) -> Result<Vec<Flow>, HostError> {
        self.check(&Call::Flows)?;
        self.inner.flows()
    }

    fn cut(&self, flows: &[&Flow]) -> Result<usize, HostError> {
        self.inner.cut(flows)
    }

    fn routes_batch(&self, text: &str) -> Result<(), HostError> {
        self.inner.routes_batch(text)
    }

    fn engine(&self) -> Result<Option<EngineFacts>, HostError> {
        self.inner.engine()
    }

    fn facts(&self) -> Result<Option<Facts>, HostError> {
        self.inner.facts()
    }

    fn has_module(&self, name: &str) -> bool {
        self.inner.has_module(name)
    }

    fn load_module(&self, name: &str) -> Result<(), HostError> {
        self.inner.load_module(name)
    }

    fn read(&self, path: &str) -> Result<Option<String>, HostError> {
        self.inner.read(path)
    }

    fn read_linked(&self, path: &str) -> Result<Option<String>, HostError> {
        self.inner.read_linked(path)
    }

    fn modified(&self, path: &str) -> Result<Option<u64>, HostError> {
        self.inner.modified(path)
    }

    fn names(&self, path: &str) -> Result<Vec<String>, HostError> {
        self.inner.names(path)
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.check(&Call::Write)?;
        self.inner.write(path, text)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.check(&Call::Write)?;
        self.inner.remove(path)
    }

    fn read_folder(&self, path: &str) -> Result<Option<BTreeMap<String, String>>, HostError> {
        self.inner.read_folder(path)
    }

    fn holds(&self, path: &str, files: &BTreeMap<String, String>) -> Result<bool, HostError> {
        self.inner.holds(path, files)
    }

    fn write_folder(&self, path: &str, files: &BTreeMap<String, String>) -> Result<(), HostError> {
        self.check(&Call::Write)?;
        self.inner.write_folder(path, files)
    }

    fn make_folder(&self, path: &str) -> Result<(), HostError> {
        self.inner.make_folder(path)
    }

    fn remove_folder(&self, path: &str) -> Result<(), HostError> {
        self.check(&Call::Write)?;
        self.inner.remove_folder(path)
    }

    fn remove_empty_folder(&self, path: &str) -> Result<(), HostError> {
        self.inner.remove_empty_folder(path)
    }

    fn exists(&self, path: &str) -> bool {
        self.inner.exists(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), HostError> {
        self.check(&Call::Rename(from))?;
        self.inner.rename(from, to)
    }

    fn link(&self, path: &str, target: &str) -> Result<(), HostError> {
        self.inner.link(path, target)
    }

    fn copy_program(&self, path: &str) -> Result<(), HostError> {
        self.inner.copy_program(path)
    }

    fn iptables_version(&self) -> Result<String, HostError> {
        self.inner.iptables_version()
    }

    fn save_variant(&self, variant: Variant, family: Family) -> Result<String, HostError> {
        self.inner.save_variant(variant, family)
    }

    fn nftables(&self) -> Result<String, HostError> {
        self.inner.nftables()
    }

    fn queues(&self) -> Result<String, HostError> {
        self.inner.queues()
    }

    fn powers(&self) -> Result<Option<Vec<ContainerPowers>>, HostError> {
        self.inner.powers()
    }

    fn access(&self, path: &str) -> Result<Option<Access>, HostError> {
        self.inner.access(path)
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), HostError> {
        self.inner.systemctl(arguments)
    }

    fn units(&self, names: &[&str]) -> Result<Option<String>, HostError> {
        self.inner.units(names)
    }

    fn moment(&self) -> Result<Moment, HostError> {
        let mut moment = self.inner.moment()?;
        if let Some(boot) = &self.boot {
            moment.boot.clone_from(boot);
        }
        Ok(moment)
    }

    fn time_of_day(&self) -> u64 {
        self.inner.time_of_day()
    }

    /// Nobody is called: a test of the deadline is one of the program.
    fn arm(&self, _: &Moment) -> Result<(), HostError> {
        self.check(&Call::Arm)
    }

    fn disarm(&self) {}
}
