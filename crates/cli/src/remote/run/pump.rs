//! What the program prints, on its way through the redactor.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use strongroom_client::redact::{self, Paused, Redactor};
use zeroize::Zeroizing;

use super::assign::Assigned;
use crate::failure::{Failure, Kind, warn};

/// Values that were replaced and are looked for all the same: the program may still have them.
const REPLACED: usize = 100;

/// The redactor in use. While values are watched, it is followed by others that look for the new ones too.
pub(super) struct Redactors {
    current: RwLock<Arc<Redactor>>,
    /// All that is looked for, the newest last.
    values: Mutex<VecDeque<Zeroizing<String>>>,
}

impl Redactors {
    pub(super) fn new(assigned: &[Assigned]) -> Result<Self, Failure> {
        for one in assigned.iter().filter(|one| one.expose_secret().len() < redact::SHORT) {
            warn(&format!("the value of {} is so short that --redact may hide more than it", one.secret()));
        }
        let values: VecDeque<_> = values(assigned).collect();
        Ok(Self { current: RwLock::new(redactor(&values)?), values: Mutex::new(values) })
    }

    /// Looks for these too, from the next bytes on that are read. Where that is too much, no longer for those before them.
    pub(super) fn add(&self, assigned: &[Assigned]) -> Result<(), Failure> {
        let mut known = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = values(assigned).collect();
        let mut all: VecDeque<_> = known.iter().filter(|value| !new.contains(value)).cloned().collect();
        all.drain(..all.len().saturating_sub(REPLACED));
        all.extend(new.iter().cloned());
        let (all, redactor) = match redactor(&all) {
            Ok(redactor) => (all, redactor),
            Err(_) => {
                let alone = VecDeque::from(new);
                let redactor = redactor(&alone)?;
                (alone, redactor)
            }
        };
        *known = all;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = redactor;
        Ok(())
    }

    fn current(&self) -> Arc<Redactor> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Each is made into what is looked for.
fn values(assigned: &[Assigned]) -> impl Iterator<Item = Zeroizing<String>> {
    assigned.iter().map(|one| Zeroizing::new(one.expose_secret().to_owned()))
}

fn redactor(values: &VecDeque<Zeroizing<String>>) -> Result<Arc<Redactor>, Failure> {
    Redactor::new(values.iter().map(|value| value.as_str())).map(Arc::new).map_err(|error| {
        Failure::new("the program's output cannot be filtered")
            .because(error)
            .todo("give it fewer or smaller values with --only, or leave --redact away")
            .kind(Kind::Invalid)
    })
}

/// A stream of this process without a buffer in between.
pub(super) fn own(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Filters one stream to its end. When nobody reads any more, the program is told by its own next write.
pub(super) fn pump(mut from: impl Read, to: io::Result<File>, redactors: &Redactors) {
    let Ok(mut to) = to else { return };
    let mut chunk = Zeroizing::new(vec![0; 64 << 10]);
    let mut out = Vec::new();
    let (mut paused, mut waiting) = (Paused::default(), 0);
    loop {
        let redactor = redactors.current();
        let mut stream = redactor.resume(paused);
        loop {
            let length = if waiting > 0 { Ok(std::mem::take(&mut waiting)) } else { from.read(&mut chunk) };
            match length {
                Ok(0) => {
                    stream.finish(&mut out);
                    let _ = write_all(&mut to, &out);
                    return;
                }
                // The program has new values only after they are looked for: what was read is looked through for them.
                Ok(length) if !Arc::ptr_eq(&redactor, &redactors.current()) => {
                    waiting = length;
                    break;
                }
                Ok(length) => stream.push(&chunk[..length], &mut out),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    stream.finish(&mut out);
                    let _ = write_all(&mut to, &out);
                    return;
                }
            }
            if write_all(&mut to, &out).is_err() {
                return;
            }
            out.clear();
        }
        paused = stream.pause();
    }
}

/// Writes to what may have been made non-blocking by those who share it.
fn write_all(to: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
