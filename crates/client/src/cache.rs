//! The offline cache: the last answer to each question, for when the server cannot be reached.
//!
//! One file per server, API key and references asked for, in their order. It is sealed under a key that is derived from
//! the API key's token (`strongroom_crypto::CachePlace`; `docs/formats.md`, "Offline cache"), and so is its name: without
//! the token nobody learns what is in it or what was asked. Whether a cached answer is young enough is the caller's to
//! decide.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_crypto::{CachePlace, CryptoError, Rng, SecretValue};
use strongroom_wire as wire;

use crate::api::Token;

/// Why the cache cannot be used. No text holds a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not one that this key sealed for this question, or it was altered.
    #[error("{} was altered, cut short, or sealed with another key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Sealing failed.
    #[error("the cache cannot be sealed")]
    Seal(#[from] CryptoError),
}

/// Where the answer to one question is kept.
pub struct Entry<'a> {
    server: &'a str,
    token: &'a Token,
    asked: Vec<u8>,
    path: PathBuf,
}

/// An answer, and when it was given.
pub struct Cached {
    /// Seconds since the Unix epoch.
    pub fetched_at: i64,
    /// The answer.
    pub secrets: Vec<wire::ResolvedSecret>,
}

#[derive(Serialize)]
struct Written<'a> {
    fetched_at: i64,
    secrets: &'a [wire::ResolvedSecret],
}

#[derive(Deserialize)]
struct Read {
    fetched_at: i64,
    secrets: Vec<wire::ResolvedSecret>,
}

impl<'a> Entry<'a> {
    /// The place of the answer to these references; nothing is read or made yet.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn new(
        folder: &Path,
        server: &'a str,
        token: &'a Token,
        references: &[wire::Reference],
    ) -> Result<Self, Error> {
        // A list of texts and numbers: writing it as JSON cannot fail, and gives the same bytes each time.
        let asked = serde_json::to_vec(references).map_err(|_| CryptoError::Refused)?;
        // The name is derived from the token.
        let name = CachePlace { server, asked: &asked }.name(token.expose_secret())?;
        Ok(Self { server, token, asked, path: folder.join(name) })
    }

    /// Keeps an answer in place of the one before. The folder is made where there is none, for its owner alone.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Seal`]; the answer before is then still there.
    pub fn write(&self, secrets: &[wire::ResolvedSecret], now: i64, rng: &dyn Rng) -> Result<(), Error> {
        let failed = |source| Error::Io { path: self.path.clone(), source };
        let plain = to_json(&Written { fetched_at: now, secrets }).map_err(|error| failed(error.into()))?;
        // The key is derived from the token.
        let sealed = self.place().seal(self.token.expose_secret(), &plain, rng)?;
        self.replace(&sealed).map_err(failed)
    }

    /// The answer that is kept, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Damaged`].
    pub fn read(&self) -> Result<Option<Cached>, Error> {
        let file = match fs::read(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path: self.path.clone(), source }),
        };
        let damaged = || Error::Damaged { path: self.path.clone() };
        // The key is derived from the token.
        let plain = self.place().open(self.token.expose_secret(), &file).map_err(|_| damaged())?;
        // These values are what was asked for.
        let read: Read = serde_json::from_slice(plain.expose_secret()).map_err(|_| damaged())?;
        Ok(Some(Cached { fetched_at: read.fetched_at, secrets: read.secrets }))
    }

    /// Forgets the answer; says whether there was one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self) -> Result<bool, Error> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io { path: self.path.clone(), source }),
        }
    }

    fn place(&self) -> CachePlace<'_> {
        CachePlace { server: self.server, asked: &self.asked }
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if fs::metadata(folder)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        // Made with mode 0600.
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        part.persist(&self.path)?;
        Ok(())
    }
}

/// Writes JSON into a buffer that never grows: growing leaves copies of the values behind.
fn to_json(written: &Written<'_>) -> Result<SecretValue, serde_json::Error> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, written)?;
    let mut bytes = Vec::with_capacity(length.0);
    serde_json::to_writer(&mut bytes, written)?;
    Ok(SecretValue::new(bytes))
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use strongroom_crypto::SystemRng;

    const SERVER: &str = "https://secrets.example.com";

    fn token(text: &str) -> Token {
        Token::parse(text).unwrap()
    }

    fn asked(name: &str) -> Vec<wire::Reference> {
        vec![wire::Reference {
            vault: Some("prod".to_owned()),
            name: Some(name.to_owned()),
            ..Default::default()
        }]
    }

    fn answer(value: &str) -> Vec<wire::ResolvedSecret> {
        vec![wire::ResolvedSecret {
            id: "secret_1".to_owned(),
            vault: "prod".to_owned(),
            name: "db-password".to_owned(),
            version: 3,
            value: value.to_owned(),
            updated_at: "2026-11-23T07:05:44Z".to_owned(),
            expires_at: String::new(),
        }]
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn what_is_kept_is_read_again_and_the_next_answer_takes_its_place() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/strongroom");
        let (token, asked) = (token("key_1"), asked("db-password"));
        let entry = Entry::new(&folder, SERVER, &token, &asked).unwrap();
        assert!(entry.read().unwrap().is_none());
        for (now, value) in [(1000, "first"), (2000, "second \"\u{0}\né")] {
            entry.write(&answer(value), now, &SystemRng).unwrap();
            let cached = entry.read().unwrap().unwrap();
            assert!(cached.secrets == answer(value) && cached.fetched_at == now);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&only_file(&folder))), (0o700, 0o600));
        assert!(entry.remove().unwrap() && !entry.remove().unwrap());
        assert!(entry.read().unwrap().is_none());
    }

    #[test]
    fn a_folder_open_to_others_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (token, asked) = (token("key_1"), asked("db-password"));
        let entry = Entry::new(folder.path(), SERVER, &token, &asked).unwrap();
        entry.write(&answer("v"), 0, &SystemRng).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn another_key_server_or_question_has_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (token("key_1"), token("key_2"));
        let entry = Entry::new(folder.path(), SERVER, &one, &asked("db-password")).unwrap();
        entry.write(&answer("canary-value"), 0, &SystemRng).unwrap();
        for entry in [
            Entry::new(folder.path(), SERVER, &other, &asked("db-password")).unwrap(),
            Entry::new(folder.path(), "https://b", &one, &asked("db-password")).unwrap(),
            Entry::new(folder.path(), SERVER, &one, &asked("other")).unwrap(),
            Entry::new(folder.path(), SERVER, &one, &[]).unwrap(),
        ] {
            assert!(entry.read().unwrap().is_none());
            // Nor does a file open that somebody gave the name.
            fs::copy(only_file(folder.path()), &entry.path).unwrap();
            assert!(matches!(entry.read(), Err(Error::Damaged { .. })));
            entry.remove().unwrap();
        }
        let bytes = fs::read(only_file(folder.path())).unwrap();
        for clear in ["canary-value", "db-password", "prod", "key_1"] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear.as_bytes()), "{clear}");
        }
    }

    #[test]
    fn a_file_with_any_byte_altered_or_any_end_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (token, asked) = (token("key_1"), asked("db-password"));
        let entry = Entry::new(folder.path(), SERVER, &token, &asked).unwrap();
        entry.write(&answer("canary-value"), 0, &SystemRng).unwrap();
        let whole = fs::read(&entry.path).unwrap();
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            for bytes in [&altered[..], &whole[..at]] {
                fs::write(&entry.path, bytes).unwrap();
                let error = entry.read().err().unwrap();
                assert!(matches!(error, Error::Damaged { .. }), "{at}: {error}");
                assert!(!error.to_string().contains("canary"), "{error}");
            }
        }
    }
}
