//! Threads that answer and speak in time however busy the node is.
//!
//! A heartbeat that is late by some tenths of a second is a death to the peers, and an answer that is late a second's
//! wait for the client. Such threads work for microseconds at a time, so they run before everything that is scheduled in
//! the ordinary way. Where that is forbidden they are threads like any other.

use std::{
    io,
    thread::{self, JoinHandle},
};

use crate::sys;

/// Starts such a thread.
///
/// # Errors
/// When there can be no thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _as_any_other = sys::run_first();
        body()
    })
}

/// Whether this process may have such threads.
#[must_use]
pub fn is_allowed() -> bool {
    // Asked on a thread of its own, which ends.
    let asked = thread::spawn(|| sys::run_first().is_ok());
    asked.join().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The scheduling policy of the thread that asks, by proc(5).
    fn policy() -> Option<String> {
        let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        // The state, which comes next, is field 3, and the policy is field 41.
        after_name.split_whitespace().nth(38).map(str::to_owned)
    }

    #[test]
    fn where_it_may_the_thread_runs_first_and_the_one_that_started_it_does_not() {
        let ordinary = "0".to_owned();
        let round_robin = "2".to_owned();
        let seen = spawn("first", policy).unwrap().join().unwrap();
        let wanted = if is_allowed() {
            round_robin
        } else {
            ordinary.clone()
        };
        assert_eq!(seen, Some(wanted));
        assert_eq!(policy(), Some(ordinary));
    }
}
