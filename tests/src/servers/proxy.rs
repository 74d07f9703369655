//! A TCP proxy that misbehaves on command: it drops a reply, cuts it in the middle, delays, refuses.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What happens to the next reply that is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The connection ends instead of the reply.
    Drop,
    /// Half of the reply comes, then the connection ends.
    Cut,
    /// The request itself is held back so long; it arrives although the client may have gone away.
    Late(Duration),
}

#[derive(Debug, Default)]
struct State {
    /// The harm, what the request must contain, and how many such requests are still let through.
    plan: Mutex<Option<(Harm, Vec<u8>, usize)>>,
    done: AtomicUsize,
    delay: AtomicU64,
    /// Both ends of every connection.
    open: Mutex<Vec<TcpStream>>,
    refusing: AtomicBool,
    target: AtomicU16,
}

/// A proxy in front of a port of this machine.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Starts a proxy in front of `target`.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State { target: AtomicU16::new(target), ..State::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                if state.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                thread::spawn(move || serve(client, &state));
            }
        });
        Proxy { port, state }
    }

    /// The URL of the Redis server behind it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Harms the reply to the nth request (from 0) that contains `word`.
    pub fn harm(&self, harm: Harm, word: &str, nth: usize) {
        let plan = (harm, word.as_bytes().to_vec(), nth);
        *self.state.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    /// Harms nothing any more.
    pub fn spare(&self) {
        *self.state.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Stands in front of another port from now on, as after a failover; ends every connection.
    pub fn point(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
        self.cut_all();
    }

    /// Ends every connection.
    pub fn cut_all(&self) {
        for stream in self.state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    /// How many replies were harmed.
    pub fn harmed(&self) -> usize {
        self.state.done.load(Ordering::SeqCst)
    }

    /// Delays every reply.
    pub fn delay(&self, by: Duration) {
        self.state.delay.store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Ends new connections at once (true), or lets them through.
    pub fn refuse(&self, refusing: bool) {
        self.state.refusing.store(refusing, Ordering::SeqCst);
    }
}

fn serve(client: TcpStream, state: &Arc<State>) {
    let target = state.target.load(Ordering::SeqCst);
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("an option");
    }
    if let (Ok(client), Ok(server)) = (client.try_clone(), server.try_clone()) {
        state.open.lock().unwrap_or_else(PoisonError::into_inner).extend([client, server]);
    }
    let harm: Arc<Mutex<Option<Harm>>> = Arc::default();
    let (requests, replies) = (client.try_clone().expect("a clone"), server.try_clone().expect("a clone"));
    let (noted, shared) = (Arc::clone(&harm), Arc::clone(state));
    let upstream = thread::spawn(move || forward(requests, server, &shared, &noted));
    backward(replies, client, state, &harm);
    upstream.join().unwrap_or_default();
}

/// Requests: looks for the word that picks the reply.
fn forward(mut client: TcpStream, mut server: TcpStream, state: &State, harm: &Mutex<Option<Harm>>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let mut held = None;
        {
            let mut plan = state.plan.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((kind, word, left)) = plan.as_mut()
                && buffer[..length].windows(word.len()).any(|window| window == word.as_slice())
            {
                if *left == 0 {
                    match *kind {
                        Harm::Late(by) => held = Some(by),
                        harmed => *harm.lock().unwrap_or_else(PoisonError::into_inner) = Some(harmed),
                    }
                    *plan = None;
                } else {
                    *left -= 1;
                }
            }
        }
        if let Some(by) = held {
            thread::sleep(by);
            state.done.fetch_add(1, Ordering::SeqCst);
        }
        if server.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    server.shutdown(Shutdown::Both).unwrap_or_default();
}

/// Replies: harms the one that was picked. A reply to a picked request comes after it, so what is read from then on
/// belongs to it or to what was sent just before.
fn backward(mut server: TcpStream, mut client: TcpStream, state: &State, harm: &Mutex<Option<Harm>>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        let delay = state.delay.load(Ordering::SeqCst);
        if delay > 0 {
            thread::sleep(Duration::from_millis(delay));
        }
        let picked = *harm.lock().unwrap_or_else(PoisonError::into_inner);
        match picked {
            None => {
                if client.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Some(kind) => {
                state.done.fetch_add(1, Ordering::SeqCst);
                if kind == Harm::Cut {
                    client.write_all(&buffer[..length / 2]).unwrap_or_default();
                }
                break;
            }
        }
    }
    client.shutdown(Shutdown::Both).unwrap_or_default();
    server.shutdown(Shutdown::Both).unwrap_or_default();
}
