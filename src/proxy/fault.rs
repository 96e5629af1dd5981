//! Faults on purpose on the data path. The decision was made before and stays as it is.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Way;
use super::body::RequestBody;
use super::failure::Failure;
use super::fault_table::Fault;
use super::record::Record;
use super::timer::{Clock, Late, Waiting};
use super::worker::Worker;
use crate::resilience::{Injection, pick};
use crate::wire::{BodyReader, BodyWriter, Moved, Part, PumpError, next_part};

/// Lets an attempt on this route and lane meet a fault, if it does. Returns the rate at which its answer is to come down,
/// where that is the fault.
pub(super) async fn meet(
    worker: &Worker,
    route: &str,
    lane: &str,
    clock: &Clock,
    body: &mut RequestBody<'_>,
    way: &mut Way<'_, '_>,
) -> Result<Option<NonZeroU64>, Failure> {
    match met(worker, route, lane, way.record) {
        None => Ok(None),
        // On the heap: other requests shall not carry its room.
        Some(fault) => Box::pin(inject(&fault, worker, clock, body, way)).await,
    }
}

/// The fault that an attempt on this route and lane meets, if any: one draw an attempt, and each fault takes a range of its
/// own. Notes whether the attempt says something about its lane.
fn met(worker: &Worker, route: &str, lane: &str, record: &mut Record) -> Option<Arc<Fault>> {
    record.is_drill = false;
    let table = worker.faults.any()?;
    let mut here = table.iter().filter(|fault| fault.plan.is_on(route, lane) && fault.is_on());
    let at = pick(worker.draw(), here.clone().map(|fault| fault.plan.share.get()))?;
    let fault = here.nth(at)?;
    fault.series.injected(worker.id);
    record.is_drill = !fault.plan.counts;
    record.fault = Some(fault.clone());
    Some(fault.clone())
}

/// Does to the request what is to be done before it goes up.
async fn inject(
    fault: &Fault,
    worker: &Worker,
    clock: &Clock,
    body: &mut RequestBody<'_>,
    way: &mut Way<'_, '_>,
) -> Result<Option<NonZeroU64>, Failure> {
    match fault.plan.injection {
        Injection::Delay(delay) => wait(delay.sample(worker.draw()), clock, body, way).await.map(|()| None),
        Injection::Abort(status) => Err(Failure::Injected(status)),
        Injection::Reset => Err(Failure::InjectedReset),
        Injection::SlowBody(rate) => Ok(Some(rate)),
    }
}

/// Holds the request back, no longer than its deadline and only while the client is there.
async fn wait(
    delay: Duration,
    clock: &Clock,
    body: &mut RequestBody<'_>,
    way: &mut Way<'_, '_>,
) -> Result<(), Failure> {
    let mut over = pin!(sleep(delay));
    clock.wait_for(Waiting::FirstByte);
    let waiting = poll_fn(|cx| {
        let reset = way.responder.as_mut().is_some_and(|responder| responder.poll_reset(cx).is_ready());
        if reset || body.reader.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        over.as_mut().poll(cx).map(Ok)
    });
    way.timer.race(|| clock.due(), waiting).await.unwrap_or_else(|Late| Err(clock.lateness()))
}

/// Passes a body on with at most so many bytes a second; else as [`pump`](crate::wire::pump) does.
pub(super) async fn trickle(
    source: &mut BodyReader<'_>,
    sink: &mut BodyWriter<'_>,
    rate: NonZeroU64,
    mut moved: impl FnMut(Moved<'_>),
) -> Result<(), PumpError> {
    let mut pace = Pace { rate, next: Instant::now() };
    loop {
        let taken = match next_part(source, sink, &mut moved).await? {
            None => {
                moved(Moved::End);
                return sink.end().await.map_err(PumpError::Sink);
            }
            Some(Part::Trailers(mut fields)) => {
                moved(Moved::Trailers(&mut fields));
                return sink.part(Part::Trailers(fields)).await.map(|_| ()).map_err(PumpError::Sink);
            }
            Some(Part::Data(data)) => {
                pace.send(data, sink, &mut moved).await.map_err(PumpError::Sink)?;
                0
            }
            Some(Part::Owned(data)) => {
                pace.send(&data, sink, &mut moved).await.map_err(PumpError::Sink)?;
                data.len() as u64
            }
        };
        if let BodyReader::H2(body) = source {
            body.release(taken);
        }
    }
}

/// A pace that bytes keep; time in which none came is not made up for.
struct Pace {
    rate: NonZeroU64,
    /// When the next byte may go.
    next: Instant,
}

impl Pace {
    /// How many slices of bytes go in a second, where there are as many bytes.
    const SLICES: u64 = 20;
    /// The longest slice.
    const LONGEST: u64 = 16 * 1024;

    async fn send(
        &mut self,
        data: &[u8],
        sink: &mut BodyWriter<'_>,
        moved: &mut impl FnMut(Moved<'_>),
    ) -> io::Result<()> {
        let slice = (self.rate.get() / Self::SLICES).clamp(1, Self::LONGEST);
        for slice in data.chunks(slice as usize) {
            let takes = Duration::from_secs_f64(slice.len() as f64 / self.rate.get() as f64);
            self.next = self.next.max(Instant::now()) + takes;
            self.wait(sink).await?;
            moved(Moved::Data(slice));
            sink.data(slice).await?;
            sink.flush().await?;
        }
        Ok(())
    }

    /// Until the slice has taken its time, unless its receiver goes away.
    async fn wait(&self, sink: &mut BodyWriter<'_>) -> io::Result<()> {
        let mut due = pin!(sleep_until(self.next));
        poll_fn(|cx| {
            if sink.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            due.as_mut().poll(cx).map(Ok)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Socket;
    use crate::wire::h1::{self, Connection, Framing};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const LIMITS: h1::Limits = h1::Limits { head_bytes: 1000, fields: 8, uri_bytes: 100 };

    /// How long a body takes at a rate; it has to come whole.
    async fn takes(body: &[u8], rate: u64) -> Duration {
        let (mut upstream, far) = UnixStream::pair().unwrap();
        let (near, mut client) = UnixStream::pair().unwrap();
        let (mut far, mut near) = (Connection::new(Socket::Unix(far)), Connection::new(Socket::Unix(near)));
        upstream.write_all(body).await.unwrap();
        let framing = Framing::Length(body.len() as u64);
        let mut source = BodyReader::H1(h1::BodyReader::new(&mut far.input, framing, &LIMITS).unwrap());
        let mut sink = BodyWriter::H1(h1::BodyWriter::new(&mut near.output, framing));
        let begun = Instant::now();
        let mut noted = 0;
        let rate = NonZeroU64::new(rate).unwrap();
        trickle(&mut source, &mut sink, rate, |moved| {
            if let Moved::Data(data) = moved {
                noted += data.len();
            }
        })
        .await
        .unwrap();
        let took = begun.elapsed();
        drop(near);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == body && noted == body.len(), "whole, and all of it noted");
        took
    }

    #[tokio::test]
    async fn a_slow_body_takes_its_time_and_comes_whole() {
        // Never faster; how much slower depends on how busy the machine is.
        let check = |took: Duration, least: u64| {
            let least = Duration::from_millis(least);
            assert!((least..least * 10).contains(&took), "{took:?}, not {least:?}");
        };
        check(takes(&[b'x'; 500], 1000).await, 500);
        check(takes(b"hello", 15).await, 333);
        check(takes(&[b'x'; 7000], 70_000).await, 100);
    }
}
