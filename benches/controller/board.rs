//! The machine, and figures against their targets.

use std::{process::ExitCode, time::Duration};

/// Prints figures and remembers whether one missed its target.
#[derive(Default)]
pub struct Board {
    missed: bool,
}

impl Board {
    /// A figure that nothing was promised of.
    pub fn show(&self, what: &str, value: impl Into<String>) {
        println!("{what:<52} {}", value.into());
    }

    /// A figure that keeps a promise or not.
    pub fn target(&mut self, what: &str, value: impl Into<String>, target: &str, kept: bool) {
        self.missed |= !kept;
        let kept = if kept { "yes" } else { "NO" };
        println!("{what:<52} {:>16}   {target}: {kept}", value.into());
    }

    pub fn verdict(&self) -> ExitCode {
        ExitCode::from(u8::from(self.missed))
    }
}

/// The one in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many of them in a second.
pub fn rate(number: u32, took: Duration) -> f64 {
    f64::from(number) / took.as_secs_f64()
}
