//! Looking up names. The system may take as long as it likes over one: each is looked up on a thread that nobody waits for,
//! not even a server that stops, and for all who ask for it at a time together.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_domain::webhook::Webhook;
use tokio::sync::watch;

/// Names that are looked up at a time: as many as there are webhooks, so that none waits for another's.
pub(super) const LOOK_UPS: usize = Webhook::MAX as usize;

/// What the system said. Of an error, what all who asked can be told.
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;
type UnderWay = Mutex<HashMap<String, watch::Receiver<Option<Found>>>>;

/// The addresses of names.
pub(super) struct Names {
    under_way: Arc<UnderWay>,
    system: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

impl Default for Names {
    fn default() -> Self {
        Self::by(|host| (host, 0).to_socket_addrs().map(Iterator::collect))
    }
}

impl Names {
    fn by(system: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Self {
        Self { under_way: Arc::default(), system }
    }

    /// The addresses of a host, with that port.
    pub(super) async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut receiver = self.begin(host)?;
        let found = receiver.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        let mut addresses =
            found.unwrap_or_else(|| Ok(Vec::new())).map_err(|(kind, text)| io::Error::new(kind, text))?;
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Ok(addresses)
    }

    /// Begins a look-up, or joins that which is under way.
    fn begin(&self, host: &str) -> io::Result<watch::Receiver<Option<Found>>> {
        let mut under_way = lock(&self.under_way);
        if let Some(receiver) = under_way.get(host) {
            return Ok(receiver.clone());
        }
        if under_way.len() >= LOOK_UPS {
            return Err(io::Error::other("too many other names are being looked up"));
        }
        let (sender, receiver) = watch::channel(None);
        let (of, system) = (Entry { under_way: self.under_way.clone(), host: host.to_owned() }, self.system);
        std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            let found = system(&of.host).map_err(|error| (error.kind(), error.to_string()));
            // Who comes from here on asks anew.
            drop(of);
            sender.send_replace(Some(found));
        })?;
        under_way.insert(host.to_owned(), receiver.clone());
        Ok(receiver)
    }
}

/// A name's entry among those that are looked up; it goes however the look-up ends.
struct Entry {
    under_way: Arc<UnderWay>,
    host: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.host);
    }
}

fn lock(under_way: &UnderWay) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Found>>>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    const SOON: Duration = Duration::from_millis(50);

    /// A system that never comes back from some names.
    fn faltering(host: &str) -> io::Result<Vec<SocketAddr>> {
        match host {
            "good" => Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))]),
            "unknown" => Err(io::Error::new(io::ErrorKind::NotFound, "there is none")),
            _ => loop {
                std::thread::park();
            },
        }
    }

    #[test]
    fn names_that_hang_hold_up_neither_others_nor_a_stop() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let names = Names::by(faltering);
            for host in ["hangs", "hangs-too"].repeat(LOOK_UPS) {
                let looked_up = tokio::time::timeout(Duration::ZERO, names.look_up(host, 443)).await;
                assert!(looked_up.is_err(), "{host}");
            }
            assert_eq!(lock(&names.under_way).len(), 2, "one look-up each");
            for _ in 0..2 {
                let found = names.look_up("good", 443).await.unwrap();
                assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 443))]);
            }
            let unknown = names.look_up("unknown", 443).await.unwrap_err();
            assert_eq!(
                (unknown.kind(), unknown.to_string().as_str()),
                (io::ErrorKind::NotFound, "there is none")
            );
            for number in 2..LOOK_UPS {
                names.begin(&format!("hangs-{number}")).unwrap();
            }
            assert!(names.begin("hangs").is_ok());
            assert!(names.begin("one-more").unwrap_err().to_string().contains("too many"));
        });
        // It would wait for a thread of its own for ever.
        drop(runtime);
    }

    #[tokio::test]
    async fn all_who_ask_at_a_time_get_one_answer_and_who_comes_later_another() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let names = Names::by(|_| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(SOON);
            Ok(Vec::new())
        });
        let (first, second) = tokio::join!(names.look_up("x", 1), names.look_up("x", 2));
        assert!(first.unwrap().is_empty() && second.unwrap().is_empty());
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        names.look_up("x", 1).await.unwrap();
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
    }
}
