//! Replicas, which follow another server.

use super::{Postgres, certificate, own_folder, write_private};
use crate::poll;
use crate::programs::{bounded, done};

/// Whether a commit waits for a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// It waits until the replica has it on disk: nothing that was acknowledged is lost by a failover.
    Synchronous,
    /// It does not.
    Asynchronous,
}

/// What replicas are called by the server that they follow.
const NAME: &str = "replica";

impl Postgres {
    /// Makes a replica of this server, which follows it and can be read from until it is promoted.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn replica(&self, replication: Replication) -> Self {
        let folder = own_folder();
        let data = folder.path().join("data");
        let own = self.folder.path().display();
        let from = format!("host={own} port={} user=postgres application_name={NAME}", self.port.number());
        let mut copy = bounded("pg_basebackup", folder.path());
        copy.arg("-D").arg(&data).args(["-d", &from]);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        done(&mut copy);
        write_private(&folder.path().join("password"), self.password());
        let mut flags = self.flags.clone();
        if self.tls {
            certificate::copy(self.folder.path(), folder.path());
            let (old, new) = (own.to_string(), folder.path().display().to_string());
            flags = flags.into_iter().map(|flag| flag.replace(&old, &new)).collect();
        }
        let mut replica = Self::over(folder, data, flags, self.tls, None);
        replica.start_again();
        self.commits_wait(replication);
        let state = if replication == Replication::Synchronous { "sync" } else { "async" };
        let follows = format!(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = '{NAME}' AND state = 'streaming' AND sync_state = '{state}'"
        );
        poll("the replica follows", || (self.run("postgres", &follows) == "1").then_some(()));
        replica
    }

    /// Whether commits on this server wait for a replica from now on. They wait for one that is away, too.
    pub fn commits_wait(&self, replication: Replication) {
        let names = if replication == Replication::Synchronous { NAME } else { "" };
        self.run("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.run("postgres", "SELECT pg_reload_conf()");
        let set = || (self.run("postgres", "SHOW synchronous_standby_names") == names).then_some(());
        poll("the setting is in force", set);
    }

    /// Makes a replica a server of its own, that takes changes and waits for nobody.
    ///
    /// # Panics
    /// If it is none.
    pub fn promote(&self) {
        assert_eq!(self.run("postgres", "SELECT pg_promote(true, 30)"), "t", "{}", self.log());
        self.commits_wait(Replication::Asynchronous);
    }
}
