//! A client that leaves while something is waited for before its request is sent.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::body::RequestBody;
use super::failure::Failure;
use super::respond::Responder;

/// Does some work unless the client leaves first; dropping the work is what ends it. The client is looked at only when
/// there is something to wait for.
pub(super) async fn unless_gone<T>(
    body: &mut RequestBody<'_>,
    responder: &mut Option<Responder<'_>>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        let reset = responder.as_mut().is_some_and(|responder| responder.poll_reset(cx).is_ready());
        if reset || body.reader.poll_gone(cx).is_ready() {
            Poll::Ready(Err(Failure::ClientGone))
        } else {
            Poll::Pending
        }
    })
    .await
}
