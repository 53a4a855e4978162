//! A network namespace: a thread that lives in it, so what it starts, commands and sockets alike, lives there too.

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use nix::{sched::CloneFlags, unistd::gettid};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace.
pub struct Station {
    jobs: mpsc::Sender<Job>,
    pub thread: i32,
}

impl Station {
    pub fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, thread) = mpsc::channel();
        thread::spawn(move || {
            nix::sched::unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            ready.send(gettid().as_raw()).unwrap();
            while let Ok(job) = queue.recv() {
                job();
            }
        });
        let station = Self {
            jobs,
            thread: thread.recv().expect("the thread is in its namespace"),
        };
        station.sh("ip link set lo up");
        station
    }

    /// The namespace's name.
    pub fn namespace(&self) -> PathBuf {
        fs::read_link(format!("/proc/self/task/{}/ns/net", self.thread)).unwrap()
    }

    /// Runs something inside the namespace.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, result) = mpsc::channel();
        self.jobs
            .send(Box::new(move || drop(sender.send(job()))))
            .unwrap();
        result.recv().expect("the job panicked")
    }

    /// Runs a shell command inside the namespace; it must succeed.
    pub fn sh(&self, line: &str) -> String {
        let (success, output) = self.try_sh(line);
        assert!(success, "{line}: {output}");
        output
    }

    /// Whether the command succeeded, and what it wrote.
    pub fn try_sh(&self, line: &str) -> (bool, String) {
        let line = line.to_owned();
        self.run(move || {
            let output = Command::new("sh")
                .args(["-c", &line])
                .output()
                .expect("a shell");
            let text = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            )
        })
    }

    /// Starts a command inside the namespace that ends when it is dropped.
    pub fn spawn(
        &self,
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Running {
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(self.run(move || command.spawn().expect("the command starts")))
    }
}

/// A command that runs on.
pub struct Running(Child);

impl Running {
    pub fn id(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
