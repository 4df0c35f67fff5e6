use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// Outgoing connections are given ports from 32768 on by the system, so that one of these is still free after a stop.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of loopback that no other test takes while this is there, whether anybody listens on it or not: a server that is stopped
/// and a proxy that is cut come back to theirs.
pub(crate) struct Port {
    number: u16,
    path: PathBuf,
    /// Locked. The system lets go of it when the process ends, however that ends.
    _lock: File,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let own = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
        let ports = (0..COUNT)
            .map(|_| FIRST + own.wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
        ports.filter_map(Self::take).next().expect("a port is free")
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// `None` where it is another's.
    fn take(number: u16) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("strongroom-test-port-{number}"));
        let lock = File::options().create(true).append(true).open(&path).ok()?;
        lock.try_lock().ok()?;
        // Whoever had it before may have removed the file between its opening and its lock.
        let is_there = fs::metadata(&path).is_ok_and(|found| found.ino() == lock.metadata().unwrap().ino());
        let port = is_there.then_some(Self { number, path, _lock: lock })?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok().then_some(port)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Left behind, it would only lie there.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_its_owners_until_it_is_given_back() {
        let port = Port::reserve();
        assert!(Port::take(port.number()).is_none(), "nobody listens on it, and it is taken all the same");
        let (number, path) = (port.number(), port.path.clone());
        drop(port);
        assert!(!path.exists());
        assert_eq!(Port::take(number).expect("it is free").number(), number);
    }
}
