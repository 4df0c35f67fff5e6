//! Files that keep up with the values in them.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use strongroom_wire as wire;

use super::{Job, Render, Target, render};
use crate::failure::{Failure, Kind, tell};
use crate::out;
use crate::remote::run::is_ignored;
use crate::remote::watch::{Rests, Trouble, Watch};

/// Writes the files, and writes them anew whenever a value has changed, until a signal ends it.
pub(super) fn keep_up(
    of: &Render,
    jobs: &[Job],
    references: Vec<wire::Reference>,
) -> Result<ExitCode, Failure> {
    if jobs.iter().any(|job| matches!(job.target, Target::Stdout)) {
        let what = "--watch writes files, and standard output is none";
        return Err(Failure::new(what).todo("add --out FILE or --output-dir DIR").kind(Kind::Usage));
    }
    if references.is_empty() {
        return Err(Failure::new("there is no value in the templates to watch").kind(Kind::Invalid));
    }
    let (mut watch, secrets) = Watch::start(&of.remote, &of.cache, references)?;
    let writing = Arc::new(Mutex::new(()));
    end_between_writes(writing.clone())?;
    let write = |rendered: &[_]| -> Result<(), Failure> {
        let _writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let told = of.write(jobs, rendered)?;
        // The files are what counts: who reads what is told of them may be gone.
        let _ = out(&told);
        Ok(())
    };
    write(&render(jobs, &secrets)?)?;
    loop {
        match render(jobs, &watch.next()) {
            // The next change may mend it.
            Err(failure) => tell(&failure.amid("the files stay as they are")),
            Ok(rendered) => {
                let (mut rests, mut trouble) = (Rests::new(), Trouble::default());
                while let Err(failure) = write(&rendered) {
                    trouble.tell(failure.to_string());
                    thread::sleep(rests.next());
                }
            }
        }
    }
}

/// Has a signal end this process as it would without a watch, but not in the middle of writing: a new file would be left
/// beside its place.
fn end_between_writes(writing: Arc<Mutex<()>>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new("signals cannot be watched").because(error);
    let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(wanted).map_err(failed)?;
    let end = move || {
        for signal in signals.forever() {
            let _writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(end).map(drop).map_err(failed)
}
