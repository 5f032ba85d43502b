// SPDX-License-Identifier: GPL-2.0
//! A handler of SIGALRM that runs again and again, and remembers how late it was.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

/// The interval, when the timer expires next, and the longest delay: in nanoseconds.
static EVERY: AtomicU64 = AtomicU64::new(0);
static DUE: AtomicU64 = AtomicU64::new(0);
static LATEST: AtomicU64 = AtomicU64::new(0);
/// How often the handler ran.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// While this lives the handler runs, once in each interval. There can be only one.
pub struct Alarm(());

/// What became of the alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarms {
    /// How often the handler ran.
    pub count: u64,
    /// How long after the timer expired it ran, at worst.
    pub latest: Duration,
}

impl fmt::Display for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} alarms, {} ms late",
            self.count,
            self.latest.as_millis()
        )
    }
}

/// Nanoseconds of the clock that the timer goes by. A signal handler may ask for it.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: The call writes one `timespec`, and there is one.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    // Neither is negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

extern "C" fn on_alarm(_: libc::c_int) {
    let (now, due, every) = (now(), DUE.load(Relaxed), EVERY.load(Relaxed));
    let late = now.saturating_sub(due);
    LATEST.fetch_max(late, Relaxed);
    COUNT.fetch_add(1, Relaxed);
    // Of several that were due, one is delivered.
    let missed = late.checked_div(every).unwrap_or(0);
    DUE.store(due + (missed + 1) * every, Relaxed);
}

impl Alarm {
    /// Starts the timer. System calls are not restarted.
    pub fn every(interval: Duration) -> Result<Self> {
        ensure!(!interval.is_zero(), "an alarm needs an interval");
        let handler = SigHandler::Handler(on_alarm);
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        let every = u64::try_from(interval.as_nanos()).context("the interval is too long")?;
        EVERY.store(every, Relaxed);
        LATEST.store(0, Relaxed);
        COUNT.store(0, Relaxed);
        DUE.store(now() + every, Relaxed);
        // SAFETY: The handler uses nothing but atomics and the clock.
        unsafe { sigaction(Signal::SIGALRM, &action) }.context("cannot handle SIGALRM")?;
        set_timer(interval)?;
        Ok(Alarm(()))
    }

    /// What became of it so far.
    pub fn seen(&self) -> Alarms {
        Alarms {
            count: COUNT.load(Relaxed),
            latest: Duration::from_nanos(LATEST.load(Relaxed)),
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // The handler stays, so that one that is under way does no harm.
        let _ = set_timer(Duration::ZERO);
    }
}

/// Sets the timer of this process, or stops it.
fn set_timer(interval: Duration) -> Result<()> {
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(interval.as_secs()).context("the interval is too long")?,
        tv_usec: interval.subsec_micros().into(),
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    // SAFETY: The call reads one `itimerval`, and does not write where there is no second one.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
    Errno::result(result).context("cannot set a timer")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_handler_runs_again_and_again() {
        let alarm = Alarm::every(Duration::from_millis(5)).unwrap();
        let start = Instant::now();
        while alarm.seen().count < 3 && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(start.elapsed() >= Duration::from_millis(15));
        assert!(alarm.seen().count >= 3);
        assert!(alarm.seen().latest < Duration::from_secs(30));
        drop(alarm);
        assert!(Alarm::every(Duration::ZERO).is_err());
    }
}
