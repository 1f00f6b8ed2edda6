//! What the tests share: bundles made by hand, namespaces, and a host that fails on demand.

pub(crate) mod bundle;
pub(crate) mod env;
pub(crate) mod faulty;
