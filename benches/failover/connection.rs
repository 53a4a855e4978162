//! A long-lived TCP connection to the Service, made again when it breaks.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::segment::{PORT, Segment};

const PACE: Duration = Duration::from_millis(20);
/// A connection that is silent for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(5);

/// What became of the connection in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It lived, and stood still for so long at most.
    Lived(Duration),
    /// It broke.
    Broke,
}

/// A running connection; dropping it ends it.
pub struct Connection {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    broke: bool,
    longest: Duration,
    waiting_since: Option<Instant>,
    began: Instant,
}

impl Connection {
    pub fn start(segment: &Segment, vip: &str) -> anyhow::Result<Self> {
        let vip: IpAddr = vip.parse()?;
        let state = Arc::new(Mutex::new(State {
            broke: false,
            longest: Duration::ZERO,
            waiting_since: None,
            began: Instant::now(),
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (Arc::clone(&state), Arc::clone(&stop));
        // A thread lives in the namespace of the one that made it.
        segment.client.run(move || {
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    match TcpStream::connect_timeout(&SocketAddr::new(vip, PORT), GIVE_UP) {
                        Ok(stream) => {
                            talk(&stream, &kept, &ended);
                            kept.lock().unwrap().broke = true;
                        }
                        Err(_) => thread::sleep(PACE),
                    }
                }
            })
        });
        Ok(Self { state, stop })
    }

    /// Begins to judge.
    pub fn begin(&self) {
        let mut state = self.state.lock().unwrap();
        state.broke = false;
        state.longest = Duration::ZERO;
        state.began = Instant::now();
    }

    /// What became of it since.
    pub fn fate(&self) -> Fate {
        let state = self.state.lock().unwrap();
        if state.broke {
            return Fate::Broke;
        }
        let waiting = state
            .waiting_since
            .map(|since| since.max(state.began).elapsed());
        Fate::Lived(state.longest.max(waiting.unwrap_or_default()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends an octet and waits for it, until something fails.
fn talk(mut stream: &TcpStream, state: &Mutex<State>, stop: &AtomicBool) {
    drop(stream.set_nodelay(true));
    drop(stream.set_read_timeout(Some(GIVE_UP)));
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        state.lock().unwrap().waiting_since = Some(sent);
        let mut octet = [0];
        let answered = stream
            .write_all(&[1])
            .and_then(|()| stream.read_exact(&mut octet));
        let mut now = state.lock().unwrap();
        now.waiting_since = None;
        if answered.is_err() {
            return;
        }
        let began = now.began;
        now.longest = now.longest.max(sent.max(began).elapsed());
        drop(now);
        thread::sleep(PACE);
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lived(longest) => write!(f, "lived, {} ms", longest.as_millis()),
            Self::Broke => f.write_str("broke"),
        }
    }
}
