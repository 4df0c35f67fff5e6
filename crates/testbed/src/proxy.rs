//! What stands between a client and a server, and fails.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::poll;
use crate::port::Port;

/// How long it takes at most to see that something was asked of it.
const TICK: Duration = Duration::from_millis(1);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// What is asked.
    Server,
    /// What is answered.
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Bytes pass.
    Open,
    /// Connections are taken, and nothing passes.
    Held,
    /// Nobody listens.
    Cut,
    /// The proxy ends.
    Gone,
}

struct State {
    line: Line,
    target: SocketAddr,
    delay: Duration,
    losses: Vec<Loss>,
    exchanges: Vec<Exchange>,
    chance: Option<Chance>,
    lost: usize,
    /// Connections that were taken, and how many of them, the first ones, pass nothing on any more.
    taken: usize,
    stranded: usize,
    open: Vec<(TcpStream, TcpStream)>,
}

/// What is lost of a connection that carries a pattern.
struct Loss {
    towards: Towards,
    pattern: Vec<u8>,
    /// Bytes of the pattern that still pass.
    passes: usize,
}

/// What goes in the place of a pattern.
struct Exchange {
    towards: Towards,
    pattern: Vec<u8>,
    by: Vec<u8>,
}

/// Connections that are cut at random.
struct Chance {
    one_in: u64,
    drawn: u64,
}

impl Chance {
    /// A number that follows from those before (SplitMix64).
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.drawn ^ (self.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether a piece of so many bytes is cut: then how many of them still pass.
    fn cuts(&mut self, bytes: usize) -> Option<usize> {
        self.draw().is_multiple_of(self.one_in).then(|| (self.draw() % (bytes as u64 + 1)) as usize)
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A TCP proxy on a port of loopback that it keeps, with threads of its own; it ends when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    port: Port,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one that passes everything on.
    #[must_use]
    pub fn to(target: SocketAddr) -> Self {
        let state = State {
            line: Line::Open,
            target,
            delay: Duration::ZERO,
            losses: Vec::new(),
            exchanges: Vec::new(),
            chance: None,
            lost: 0,
            taken: 0,
            stranded: 0,
            open: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let port = Port::reserve();
        let number = port.number();
        let first = bind(number);
        let of_thread = shared.clone();
        let listening = std::thread::spawn(move || listen(&of_thread, number, first));
        Self { shared, port, listening: Some(listening) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Drops all connections, and refuses new ones.
    pub fn cut(&self) {
        self.set(Line::Cut);
        self.drop_connections();
        poll("nobody listens", || TcpStream::connect(self.address()).is_err().then_some(()));
    }

    /// Keeps all connections, takes new ones, and passes nothing on in either direction until it is mended.
    pub fn hold(&self) {
        self.set(Line::Held);
    }

    /// Passes everything on again. What was held passes now.
    pub fn mend(&self) {
        self.set(Line::Open);
        poll("it listens", || TcpStream::connect(self.address()).ok());
    }

    /// Passes nothing on, ever again, of the connections that there are, and keeps them; new ones are as before.
    pub fn strand(&self) {
        let mut state = self.shared.lock();
        state.stranded = state.taken;
    }

    /// Waits so long with each piece that passes, in each direction.
    pub fn slow(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Drops all connections, and passes on to another server from now on.
    pub fn switch_to(&self, target: SocketAddr) {
        self.shared.lock().target = target;
        self.drop_connections();
    }

    /// Drops all connections, and takes new ones.
    pub fn drop_connections(&self) {
        for (client, server) in self.shared.lock().open.drain(..) {
            close(&client);
            close(&server);
        }
    }

    /// Cuts the next connection on which this pattern goes that way, once so many bytes of it have passed; nothing after them does, in either direction.
    /// Asked several times, it does so as often.
    ///
    /// With `COMMIT\0`, which PostgreSQL's protocol has in the clear without TLS: towards the server the commit never
    /// arrives; towards the client it was done, and its answer is lost.
    pub fn lose(&self, towards: Towards, pattern: &[u8], passes: usize) {
        assert!(passes < pattern.len(), "of a pattern that passes whole nothing is lost");
        self.shared.lock().losses.push(Loss { towards, pattern: pattern.to_vec(), passes });
    }

    /// Passes on other bytes in the place of the next such pattern that goes that way in one piece, as all short messages do. Asked
    /// several times, it does so as often.
    pub fn exchange(&self, towards: Towards, pattern: &[u8], by: &[u8]) {
        let (pattern, by) = (pattern.to_vec(), by.to_vec());
        self.shared.lock().exchanges.push(Exchange { towards, pattern, by });
    }

    /// How many patterns were not met yet that something is to be in the place of.
    #[must_use]
    pub fn to_exchange(&self) -> usize {
        self.shared.lock().exchanges.len()
    }

    /// Cuts a connection now and then: of so many pieces that pass, in either direction, one is the last of its connection, and
    /// passes in part. Which they are hangs on the seed, and on the order in which pieces come. 0 ends it.
    pub fn lose_now_and_then(&self, one_in: u64, seed: u64) {
        self.shared.lock().chance = (one_in > 0).then_some(Chance { one_in, drawn: seed });
    }

    /// How many connections were cut because of their pattern, or by chance.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.lock().lost
    }

    fn set(&self, line: Line) {
        self.shared.lock().line = line;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Line::Gone);
        self.drop_connections();
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The state, once bytes of a connection may pass. `None` where they never will.
    fn open(&self, number: usize) -> Option<MutexGuard<'_, State>> {
        let held = |state: &mut State| match state.line {
            Line::Held => true,
            Line::Open => number < state.stranded,
            Line::Cut | Line::Gone => false,
        };
        let state = self.changed.wait_while(self.lock(), held).unwrap();
        (state.line == Line::Open).then_some(state)
    }

    /// The number of a connection that is taken.
    fn take(&self) -> usize {
        let mut state = self.lock();
        state.taken += 1;
        state.taken - 1
    }

    /// Whether the connection is cut in this chunk, of which the last bytes before were `before`, by chance or for a pattern: then the
    /// bytes of the chunk that still pass. The loss is taken.
    fn loses(state: &mut State, towards: Towards, before: &[u8], chunk: &[u8]) -> Option<usize> {
        if let Some(passes) = state.chance.as_mut().and_then(|chance| chance.cuts(chunk.len())) {
            state.lost += 1;
            return Some(passes);
        }
        let stream = [before, chunk].concat();
        let found = state.losses.iter().enumerate().filter(|(_, loss)| loss.towards == towards).find_map(
            |(index, loss)| {
                let at = stream.windows(loss.pattern.len()).position(|window| window == loss.pattern)?;
                // What ended before this chunk was looked at with the one before.
                (at + loss.pattern.len() > before.len()).then_some((index, at + loss.passes))
            },
        );
        let (index, passes) = found?;
        state.losses.remove(index);
        state.lost += 1;
        Some(passes.saturating_sub(before.len()))
    }

    /// A chunk as it passes. The exchange is taken.
    fn exchanged<'a>(state: &mut State, towards: Towards, chunk: &'a [u8]) -> Cow<'a, [u8]> {
        let exchanges = state.exchanges.iter().enumerate().filter(|(_, one)| one.towards == towards);
        let found = exchanges.into_iter().find_map(|(index, one)| {
            Some((index, chunk.windows(one.pattern.len()).position(|window| window == one.pattern)?))
        });
        let Some((index, at)) = found else { return chunk.into() };
        let Exchange { pattern, by, .. } = state.exchanges.remove(index);
        [&chunk[..at], &by, &chunk[at + pattern.len()..]].concat().into()
    }
}

fn bind(port: u16) -> TcpListener {
    // Whoever starts a program at the moment at which somebody looks whether the port is free has it open for that moment, too.
    let listener = poll("the port is free", || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    listener.set_nonblocking(true).unwrap();
    listener
}

fn listen(shared: &Arc<Shared>, port: u16, first: TcpListener) {
    let mut listener = Some(first);
    loop {
        match shared.lock().line {
            Line::Gone => return,
            Line::Cut => listener = None,
            Line::Open | Line::Held if listener.is_none() => listener = Some(bind(port)),
            Line::Open | Line::Held => {}
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&shared, client));
            }
            Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
            _ => std::thread::sleep(TICK),
        }
    }
}

/// One connection, until either side ends it.
fn serve(shared: &Arc<Shared>, client: TcpStream) {
    // What a listener that does not wait accepts waits all the same.
    client.set_nonblocking(false).unwrap();
    let number = shared.take();
    let Some(mut state) = shared.open(number) else { return close(&client) };
    // Loopback answers at once, so the lock is not held for long.
    let Ok(server) = TcpStream::connect_timeout(&state.target, Duration::from_secs(5)) else {
        return close(&client);
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let copies = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    state.open.push(copies());
    drop(state);
    let (to_client, from_server) = copies();
    let of_thread = shared.clone();
    let answers =
        std::thread::spawn(move || pump(&of_thread, number, Towards::Client, from_server, to_client));
    pump(shared, number, Towards::Server, client, server);
    let _ = answers.join();
}

/// Passes on what comes one way, until either end is closed or something is lost.
fn pump(shared: &Shared, number: usize, towards: Towards, mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = vec![0; 64 << 10];
    let mut before = Vec::new();
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        let chunk = &chunk[..read];
        let delay = shared.lock().delay;
        std::thread::sleep(delay);
        let Some(mut state) = shared.open(number) else { break };
        if let Some(passes) = Shared::loses(&mut state, towards, &before, chunk) {
            // Nothing else gets through before both are closed: the lock is held until then.
            let _ = to.write_all(&chunk[..passes]);
            close(&to);
            close(&from);
            return;
        }
        let longest = state.losses.iter().map(|loss| loss.pattern.len()).max().unwrap_or(0);
        let passing = Shared::exchanged(&mut state, towards, chunk);
        drop(state);
        if to.write_all(&passing).is_err() {
            break;
        }
        before.extend_from_slice(chunk);
        before.drain(..before.len().saturating_sub(longest));
    }
    close(&to);
    close(&from);
}

/// It is closed already where the other side was first.
fn close(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}
