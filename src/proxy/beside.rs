//! Work, and beside it something that hardly ever happens.
//!
//! A connection's task wakes some twenty times for each request, and whatever is waited for beside the work would be asked as
//! often, at the price of a lock each time. What is wrapped here is asked only when it has woken the task itself.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Has the work done, unless something else is ready first. When both are, the work counts.
pub(super) async fn unless<W: Future, S: Future>(work: W, other: S) -> Result<W::Output, S::Output> {
    let (mut work, mut other) = (pin!(work), pin!(other));
    std::future::poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        other.as_mut().poll(context).map(Err)
    })
    .await
}

/// Has the work done until something else is ready, which counts first: then the work is not looked at again.
pub(super) async fn until<W: Future, S: Future>(work: W, other: S) -> Result<W::Output, S::Output> {
    let (mut work, mut other) = (pin!(work), pin!(other));
    std::future::poll_fn(|context| {
        if let Poll::Ready(happened) = other.as_mut().poll(context) {
            return Poll::Ready(Err(happened));
        }
        work.as_mut().poll(context).map(Ok)
    })
    .await
}

/// A future that is polled only when it was woken itself, however often the task is polled for other reasons.
pub(super) struct Seldom<F> {
    inner: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// The bell, as the inner future knows it.
    waker: Waker,
    /// The task the bell wakes.
    task: Option<Waker>,
}

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<F: Future> Seldom<F> {
    pub(super) fn new(inner: F) -> Self {
        let bell = Arc::<Bell>::default();
        Seldom { inner: Box::pin(inner), waker: Arc::clone(&bell).into(), bell, task: None }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if !this.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            this.task = Some(context.waker().clone());
            this.bell.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&this.task);
            // The first time, and whenever the task is another: it may have rung for the one before.
            this.bell.rung.store(true, Ordering::Release);
        }
        // Taken back before the inner future is asked, so that what happens meanwhile is not lost.
        if !this.bell.rung.load(Ordering::Acquire) || !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.inner.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    /// Counts how often it is asked.
    struct Counted<'a, F>(Pin<Box<F>>, &'a AtomicUsize);

    impl<F: Future> Future for Counted<'_, F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.as_mut().poll(context)
        }
    }

    async fn turns(number: usize) {
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn it_is_asked_when_it_was_woken_and_at_no_other_time() {
        let (happens, asked) = (Notify::new(), AtomicUsize::new(0));
        let beside = Seldom::new(Counted(Box::pin(happens.notified()), &asked));
        let work = async {
            turns(100).await;
            assert_eq!(asked.load(Ordering::Relaxed), 1);
            happens.notify_one();
            std::future::pending::<()>().await;
        };
        assert!(unless(work, beside).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn work_that_is_done_counts_before_what_happens_at_the_same_time() {
        assert!(unless(async {}, Seldom::new(async {})).await.is_ok());
        assert!(unless(std::future::pending::<()>(), Seldom::new(async {})).await.is_err());
    }

    #[tokio::test]
    async fn work_is_not_looked_at_again_once_something_counts_before_it() {
        let asked = AtomicUsize::new(0);
        let happens = async {
            turns(3).await;
            7
        };
        let work = Counted(Box::pin(turns(100)), &asked);
        assert_eq!(until(work, happens).await, Err(7));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert_eq!(until(async { 1 }, std::future::pending::<()>()).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_happens_on_another_thread_is_never_lost() {
        for _ in 0..2000 {
            let happens = Arc::new(Notify::new());
            let other = Arc::clone(&happens);
            let bell = tokio::spawn(async move { other.notify_one() });
            let busy = async {
                loop {
                    turns(1).await;
                    if bell.is_finished() {
                        // From here on nothing else wakes the task.
                        std::future::pending::<()>().await;
                    }
                }
            };
            assert!(unless(busy, Seldom::new(async move { happens.notified().await })).await.is_err());
        }
    }

    #[tokio::test]
    async fn it_goes_on_in_another_task() {
        let happens = Arc::new(Notify::new());
        let other = Arc::clone(&happens);
        let mut beside = Box::pin(Seldom::new(async move { other.notified().await }));
        let first = unless(turns(3), beside.as_mut()).await;
        assert!(first.is_ok());
        let moved = tokio::spawn(beside);
        turns(3).await;
        happens.notify_one();
        moved.await.unwrap();
    }
}
