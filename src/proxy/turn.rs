//! The order in which the tasks of a worker go on.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the tasks that are ready go first. What one look at the system found ready is then all read before any of it is
/// written on: whoever gets what is written, and may share our cores, is woken once for several messages and not for each
/// of them, and the processor goes through each half of the work with its memory at hand. Where nobody else is ready, this costs one
/// more turn and no wait.
pub(super) async fn behind_the_others() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::behind_the_others;

    #[tokio::test]
    async fn all_that_are_ready_read_before_one_writes() {
        let told = RefCell::new(String::new());
        let one = async |name: char| {
            told.borrow_mut().extend(['r', name]);
            behind_the_others().await;
            told.borrow_mut().extend(['w', name]);
        };
        tokio::join!(one('a'), one('b'));
        assert!(told.borrow().starts_with("rarb"), "{}", told.borrow());
    }
}
