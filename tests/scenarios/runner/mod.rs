//! The runner of the scripts.
//!
//! ```text
//!   script (YAML) ──▶ play: one step after the other ──▶ cluster ──HTTP──▶ stand-in, or etcd + kube-apiserver
//!                      │ until it holds                    └─▶ the controller, in this process
//!                      └─▶ expect: what differs ──▶ report: what was seen last
//! ```

pub mod cluster;
pub mod coverage;
mod expect;
mod object;
mod play;
pub mod real;
mod report;
mod script;

pub use play::play;
pub use script::{Script, read_all};

impl Script {
    /// Why the script is not run, if it is not.
    pub fn left_out(&self, real: bool) -> Option<String> {
        if real {
            self.standin_only.clone()
        } else {
            self.real_only.clone()
        }
    }
}
