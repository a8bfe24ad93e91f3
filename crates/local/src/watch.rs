//! Tells the moment at which a process ends, and sends it signals without ever hitting another one.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;

/// A hold on one process. Unlike its number it never comes to mean another process.
#[derive(Debug)]
pub(crate) struct Watch {
    fd: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Takes hold of a process; none if it has ended and nobody waits for it any more. Needs Linux 5.3.
    pub(crate) fn open(pid: i32) -> io::Result<Option<Watch>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        #[expect(
            deprecated,
            reason = "unsound only for types that may close their descriptor while registered; an OwnedFd does not, and \
                      the replacement is unsafe code"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Some(Watch { fd }))
    }

    /// Returns when the process has ended.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.fd.readable().await.map(|_| ())
    }

    /// Sends a signal; fine if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(self.fd.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed_and_a_late_signal_is_harmless() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let watch = Watch::open(child.id() as i32).unwrap().unwrap();
        watch.signal(Signal::KILL).unwrap();
        watch.ended().await.unwrap();
        child.wait().unwrap();
        watch.signal(Signal::KILL).unwrap();
        assert!(Watch::open(child.id() as i32).unwrap().is_none());
    }
}
