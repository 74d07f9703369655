//! Progress: a live line on a terminal, a line every five seconds elsewhere, nothing when quiet.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;

/// How often a line is written where no terminal is.
const PERIOD: Duration = Duration::from_secs(5);

/// All live lines; what else is written to stderr goes above them.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

fn lines() -> &'static MultiProgress {
    LINES.get_or_init(|| {
        let live = output::stderr_is_terminal() && !output::is_quiet();
        MultiProgress::with_draw_target(if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() })
    })
}

/// Does something with stderr while the live lines are out of the way.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    match LINES.get() {
        Some(lines) => lines.suspend(write),
        None => write(),
    }
}

/// Lines that tell how far a command is.
pub(crate) struct Progress {
    bars: Vec<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Progress that begins now.
    pub(crate) fn start() -> Self {
        Progress { bars: Vec::new(), told: Instant::now() }
    }

    /// Shows the present state, one line per item. Cheap enough to be called often: elsewhere than on a terminal
    /// `state` is asked every five seconds only.
    pub(crate) fn show(&mut self, state: impl FnOnce() -> Vec<String>) {
        if output::is_quiet() {
            return;
        }
        if !lines().is_hidden() {
            let state = state();
            while self.bars.len() < state.len() {
                let bar = lines().add(ProgressBar::new_spinner().with_style(style()));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.bars.push(bar);
            }
            for (bar, line) in self.bars.iter().zip(state) {
                bar.set_message(line);
            }
        } else if self.told.elapsed() >= PERIOD {
            self.told = Instant::now();
            for line in state() {
                output::say(line);
            }
        }
    }

    /// Takes the live lines away.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        for bar in &self.bars {
            bar.finish_and_clear();
            lines().remove(bar);
        }
    }
}

fn style() -> ProgressStyle {
    // The template is a constant that a test reads, so the fallback is never seen.
    ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

const TEMPLATE: &str = "{spinner:.cyan} {wide_msg} {elapsed:.dim}";

/// A rate for people: three digits, no false precision.
pub(crate) fn rate(count: u64, time: Duration) -> String {
    let per_second = count as f64 / time.as_secs_f64().max(0.001);
    if per_second >= 100.0 { format!("{per_second:.0}/s") } else { format!("{per_second:.1}/s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn rates_have_about_three_digits() {
        assert_eq!(rate(10, Duration::from_secs(4)), "2.5/s");
        assert_eq!(rate(5000, Duration::from_secs(2)), "2500/s");
    }
}
