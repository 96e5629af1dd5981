//! The times of an open loop. tokio's timers have steps of a millisecond, longer than most answers take, so a timer of the
//! kernel (`timerfd`) wakes us.

use std::io;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::Turn;

/// The time between two wake-ups at least. To wake for each of forty thousand requests a second would take the core that the origin has to
/// live on as well; so requests that became due since are sent together, and each is counted from when it was due. The row of the
/// origin has the same step in it.
const STEP: Duration = Duration::from_micros(100);

/// Lets requests become due, evenly, until the turn ends.
pub async fn keep(turn: Rc<Turn>, per_second: f64) {
    let mut timer = Timer::new().expect("a process may have a timer");
    let due_at = |number: u64| turn.started() + Duration::from_secs_f64(number as f64 / per_second);
    let end = turn.started() + turn.length();
    let mut number = 0;
    // When it was to wake, not when it did: a late wake-up makes no other one later.
    let mut woken = turn.started();
    loop {
        let now = Instant::now();
        while due_at(number) <= now.min(end) {
            turn.is_due(due_at(number));
            number += 1;
        }
        if now >= end {
            break;
        }
        woken = due_at(number).min(end).max(woken + STEP);
        let pause = woken.saturating_duration_since(Instant::now());
        timer.sleep(pause).await.expect("a timer that was made can be waited for");
    }
    turn.end().await;
}

/// A timer of the kernel. It is read as a pipe is: eight bytes, once it has fired.
#[derive(Debug)]
struct Timer(Receiver);

impl Timer {
    fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
    }

    async fn sleep(&mut self, pause: Duration) -> io::Result<()> {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would mean never.
        let pause = pause.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: none, it_value: value };
        timerfd_settime(self.0.as_fd(), TimerfdTimerFlags::empty(), &once)?;
        let mut expirations = [0_u8; 8];
        self.0.read_exact(&mut expirations).await?;
        Ok(())
    }
}
