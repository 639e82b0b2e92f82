use super::*;

const BOUNDS: Bounds = Bounds { items: 2, cost: 10 };

#[tokio::test]
async fn both_bounds_hold_and_order_is_kept() {
    let (sender, mut receiver) = channel(BOUNDS);
    sender.try_send('a', 6).unwrap();
    assert_eq!(sender.try_send('x', 5), Err(NotSent::Full('x')));
    sender.try_send('b', 4).unwrap();
    assert_eq!(sender.try_send('y', 0), Err(NotSent::Full('y')));
    assert_eq!(receiver.recv().await.unwrap().0, 'a');
    assert_eq!(receiver.recv().await.unwrap().0, 'b');
    sender.try_send('c', 1000).unwrap();
    assert_eq!(receiver.try_recv().unwrap().0, 'c');
}

#[tokio::test]
async fn a_waiting_sender_goes_on_when_there_is_room() {
    let (sender, mut receiver) = channel(BOUNDS);
    sender.try_send(1, 10).unwrap();
    let waiting = sender.send(2, 10);
    tokio::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    assert_eq!(receiver.try_recv().unwrap().0, 1);
    waiting.await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().0, 2);
}

#[tokio::test]
async fn a_share_leaves_room_for_others() {
    let (sender, mut receiver) = channel(BOUNDS);
    let share = Bounds { items: 1, cost: 10 };
    sender.try_send_within(1, 1, share).unwrap();
    assert_eq!(sender.try_send_within(2, 1, share), Err(NotSent::Full(2)));
    let waiting = sender.send_within(2, 1, share);
    tokio::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    sender.try_send(3, 1).unwrap();
    assert_eq!(receiver.try_recv().unwrap().0, 1);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    assert_eq!(receiver.try_recv().unwrap().0, 3);
    waiting.await.unwrap();
}

#[tokio::test]
async fn what_is_not_picked_stays_in_order_and_takes_its_room() {
    let (sender, mut receiver) = channel(Bounds { items: 4, cost: 10 });
    for number in [1, 2, 3] {
        sender.try_send(number, 1).unwrap();
    }
    let even = |number: &i32, _| number % 2 == 0;
    assert_eq!(receiver.recv_picked(even).await.unwrap().0, 2);
    {
        let next = receiver.recv_picked(even);
        tokio::pin!(next);
        assert!(futures::poll!(next.as_mut()).is_pending());
        sender.try_send(5, 1).unwrap();
        assert!(futures::poll!(next.as_mut()).is_pending());
        sender.try_send(6, 1).unwrap();
        assert_eq!(sender.try_send(7, 1), Err(NotSent::Full(7)));
        assert_eq!(next.await.unwrap().0, 6);
    }
    sender.try_send(8, 7).unwrap();
    receiver.close();
    assert_eq!(receiver.recv_picked(even).await.unwrap().0, 8);
    assert!(receiver.recv_picked(even).await.is_none());
    for number in [1, 3, 5] {
        assert_eq!(receiver.recv().await.unwrap().0, number);
    }
    assert!(receiver.recv().await.is_none());
}

#[tokio::test]
async fn a_queue_that_never_empties_holds_up_nobody() {
    let (sender, mut receiver) = channel(Bounds { items: 2, cost: 2 });
    let others = std::cell::Cell::new(0);
    let receiving = async {
        for _ in 0..1000 {
            sender.try_send(1, 1).unwrap();
            receiver.recv().await.unwrap();
        }
        others.get()
    };
    let counting = async {
        loop {
            others.set(others.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let turns = tokio::select! {
        biased;
        turns = receiving => turns,
        () = counting => unreachable!(),
    };
    assert!(turns > 1, "{turns}");
}

#[tokio::test]
async fn closing_gives_items_back_to_senders() {
    let (sender, receiver) = channel(BOUNDS);
    sender.try_send(1, 10).unwrap();
    let waiting = sender.send(2, 10);
    tokio::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(receiver);
    assert_eq!(waiting.await, Err(2));
    assert_eq!(sender.try_send(3, 1), Err(NotSent::Closed(3)));
}

/// A sender that waits, and whether it has been woken.
struct Sending<F> {
    future: std::pin::Pin<Box<F>>,
    woken: Arc<Flag>,
}

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl<F: Future> Sending<F> {
    fn begin(future: F) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = self.woken.clone().into();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[tokio::test]
async fn only_who_finds_room_is_woken() {
    let (sender, mut receiver) = channel(BOUNDS);
    let share = Bounds { items: 1, cost: 10 };
    sender.try_send(1, 1).unwrap();
    sender.try_send(2, 1).unwrap();
    let mut small = Sending::begin(sender.send_within(3, 1, share));
    let mut large = Sending::begin(sender.send(4, 10));
    let mut last = Sending::begin(sender.send(5, 1));
    assert!(small.poll().is_pending() && large.poll().is_pending() && last.poll().is_pending());
    assert_eq!(receiver.try_recv().unwrap().0, 1);
    assert_eq!(
        [small.is_woken(), large.is_woken(), last.is_woken()],
        [false, false, true]
    );
    // It goes, and its room with it: nobody else finds any.
    drop(last);
    assert!(!small.is_woken() && !large.is_woken());
    assert_eq!(receiver.try_recv().unwrap().0, 2);
    assert!(small.is_woken() && !large.is_woken());
    assert!(small.poll().is_ready());
    assert_eq!(receiver.try_recv().unwrap().0, 3);
    assert!(large.is_woken() && large.poll().is_ready());
}

#[tokio::test]
async fn the_room_of_one_who_gave_up_is_anothers() {
    let (sender, mut receiver) = channel(BOUNDS);
    sender.try_send(1, 10).unwrap();
    let mut first = Sending::begin(sender.send(2, 10));
    let mut second = Sending::begin(sender.send(3, 10));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!(receiver.try_recv().unwrap().0, 1);
    assert!(first.is_woken() && !second.is_woken());
    drop(first);
    assert!(second.is_woken() && second.poll().is_ready());
}
