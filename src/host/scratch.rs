//! A network namespace that is thrown away: rules can be loaded there without touching anything.

use std::thread::Builder;

use nix::sched::{CloneFlags, unshare};

use super::HostError;

/// Runs `work` in a new network namespace and returns what it returns.
///
/// A namespace belongs to a thread and to the processes it starts, `network_namespaces(7)`, so a
/// thread of its own enters it and the caller stays where it is. The kernel takes the namespace
/// away with the thread.
pub(super) fn in_namespace<T: Send>(
    work: impl FnOnce() -> Result<T, HostError> + Send,
) -> Result<T, HostError> {
    let enter = || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| HostError::Namespace(error.into()))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, enter);
        let ended = thread.map_err(HostError::Namespace)?.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
