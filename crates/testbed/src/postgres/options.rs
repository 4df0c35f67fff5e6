use crate::SmallDisk;

/// How a server is to be.
#[derive(Default)]
pub struct Options {
    pub(super) careless: bool,
    pub(super) tls: bool,
    pub(super) disk: Option<SmallDisk>,
    pub(super) settings: Vec<String>,
}

impl Options {
    /// It does not wait for its disk, and so is faster: for tests in which no machine loses its power. A process that is killed still
    /// loses nothing, as what it wrote is with the system.
    #[must_use]
    pub fn careless(mut self) -> Self {
        self.careless = true;
        self
    }

    /// It speaks TLS too, with a certificate of an authority that [`super::Postgres::ca_file`] has, for `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// All that it has is on this disk, which takes 64 MB at least.
    #[must_use]
    pub fn on(mut self, disk: SmallDisk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// A setting of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("{name}={value}"));
        self
    }
}
