//! What is asked of the person at the terminal, or read in their stead: values, keys, consent.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::JoinHandle;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, warn};

/// Bytes of a value that are read at most. More is more than any server can be set to take.
const LARGEST_VALUE: u64 = 1 << 20;

/// A value out of a file, or of standard input for `-`, exactly as it is.
pub(crate) fn value_of_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    text_of_file(file, "the value", LARGEST_VALUE as usize).map_err(|failure| match failure {
        Unread::NotText { name, is_stdin } => {
            let command = if is_stdin { "base64".to_owned() } else { format!("base64 < {name}") };
            let what = format!("{name} does not hold text in UTF-8, and a value is text");
            Failure::new(what).kind(Kind::Invalid).todo(format!("store it in base64: {command}"))
        }
        Unread::Failed(failure) => failure,
    })
}

/// Values out of a file, or of standard input for `-`.
pub(crate) fn values_of_file(file: &Path, largest: usize) -> Result<Zeroizing<String>, Failure> {
    text_of_file(file, "the values", largest).map_err(|failure| match failure {
        Unread::NotText { name, .. } => {
            Failure::new(format!("{name} does not hold text in UTF-8")).kind(Kind::Invalid)
        }
        Unread::Failed(failure) => failure,
    })
}

/// Why no text could be read.
enum Unread {
    /// What is there is not UTF-8.
    NotText { name: String, is_stdin: bool },
    /// Anything else.
    Failed(Failure),
}

fn text_of_file(file: &Path, what: &str, largest: usize) -> Result<Zeroizing<String>, Unread> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: io::Error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Missing } else { Kind::Invalid };
        Unread::Failed(Failure::new(format!("{what} cannot be read from {name}")).because(error).kind(kind))
    };
    let source = if is_stdin { stdin() } else { File::open(file) }.map_err(failed)?;
    // With room for all of it, no part of a value is left behind by a buffer that grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(largest + 1));
    source.take(largest as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > largest {
        let what = format!("{name} holds more than {} MiB, and none may", largest >> 20);
        return Err(Unread::Failed(Failure::new(what).kind(Kind::Invalid)));
    }
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Unread::NotText { name, is_stdin }),
    }
}

/// Warns that a value in the command line is not hidden.
pub(crate) fn warn_of_value() {
    warn(
        "other users of this machine can read --value while the command runs, and your shell may keep it; use --value-file",
    );
}

/// Asks for consent. Where nobody can be asked, `--yes` has to have been given.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new("nobody can be asked, as standard input is not a terminal")
            .todo("give --yes to go ahead without asking")
            .kind(Kind::Usage));
    }
    match line(&format!("{question} [y/N] "))?.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was done")),
    }
}

/// Asks for one line that may be seen.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    ask(question)?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|error| Failure::new("no answer can be read").because(error))?;
    Ok(answer)
}

/// Asks for one line that is not shown while it is typed. Standard input has to be a terminal.
pub(crate) fn prompt_hidden(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| Failure::new("the terminal cannot be used").because(error);
    let _silence = Silence::begin().map_err(failed)?;
    ask(prompt)?;
    let mut line = Zeroizing::new(Vec::with_capacity(LARGEST_VALUE as usize + 1));
    let mut stdin = stdin().map_err(failed)?;
    loop {
        let mut byte = [0];
        let count = stdin.read(&mut byte).map_err(failed)?;
        match byte[0] {
            _ if count == 0 => break,
            b'\r' | b'\n' => break,
            // Control and C, or D on an empty line: the person has changed their mind.
            3 => return Err(gave_up()),
            4 if line.is_empty() => return Err(gave_up()),
            4 => break,
            // Control and U takes all back, backspace one character.
            21 => line.clear(),
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            byte if byte < b' ' && byte != b'\t' => {
                let what = "a control character was typed, which is hardly meant";
                return Err(Failure::new(what)
                    .todo("a value that has one goes in with --value-file")
                    .kind(Kind::Invalid));
            }
            byte if line.len() < LARGEST_VALUE as usize => line.push(byte),
            _ => return Err(Failure::new("this is more than 1 MiB, and no value may be").kind(Kind::Invalid)),
        }
    }
    match str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::new("what was typed is not UTF-8").kind(Kind::Invalid)),
    }
}

/// Standard input without the buffer that the library keeps, which nobody would zero.
pub(crate) fn stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

fn gave_up() -> Failure {
    Failure::new("nothing was done")
}

fn ask(question: &str) -> Result<(), Failure> {
    // Standard output may be a file that the answer goes to.
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    asked.map_err(|error| Failure::new("the question cannot be shown").because(error))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
///
/// It gives each byte at once: a line that it would put together itself ends after 4095 bytes (termios(3)), which a
/// pasted value may well have. So a signal is not made of Control and C either, which would leave the terminal silent.
///
/// A signal that ends the process ends the silence first.
struct Silence {
    before: Termios,
    signals: Handle,
    watch: Option<JoinHandle<()>>,
}

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut arriving = Signals::new([SIGTERM, SIGHUP, SIGQUIT])?;
        let (signals, shown) = (arriving.handle(), before.clone());
        let watch = std::thread::spawn(move || {
            for signal in arriving.forever() {
                let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &shown);
                // Ends the process as the signal would have done.
                let _ = emulate_default_handler(signal);
            }
        });
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        let silence = Self { before, signals, watch: Some(watch) };
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(silence)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.signals.close();
        // It ends by itself now; that it panicked would be told already.
        let _ = self.watch.take().map(JoinHandle::join);
        // What was typed has not moved on to the next line: its end was not shown either.
        // What was pasted beyond it is dropped: a shell would take it for commands.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        let _ = writeln!(io::stderr());
    }
}
