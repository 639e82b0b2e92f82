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
