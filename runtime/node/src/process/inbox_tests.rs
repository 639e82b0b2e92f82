use node_kernel::{BlobPolicy, Outgoing};
use node_types::{Message, Request, Response};

use super::*;
use crate::mailbox::{Mailbox, PROCESS_BOUNDS};

const REQUEST: MessageId = MessageId(7);

struct Process {
    inbox: Inbox,
    conversation: Conversation,
    mailbox: Mailbox,
}

/// A process that waits ten seconds for an answer to [`REQUEST`].
fn waiting() -> (Process, KernelMessage) {
    let (sender, receiver) = queue::channel(PROCESS_BOUNDS);
    let inbox = Inbox::new(Arc::new(Mutex::new(Some(receiver.into()))), Instant::now());
    let our = "me.dev@a:b:c".parse().unwrap();
    let mut conversation = Conversation::new(our, BlobPolicy::CurrentMessage);
    let request = Outgoing {
        target: "bob.dev@a:b:c".parse().unwrap(),
        request: Request {
            expects_response: Some(10),
            ..Request::default()
        },
        context: None,
        blob: None,
    };
    let sent = conversation
        .prepare_request(request, || REQUEST, inbox.now())
        .unwrap();
    let process = Process {
        inbox,
        conversation,
        mailbox: Mailbox::Process(sender),
    };
    (process, sent.message)
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_fails_in_its_turn_and_long_before_its_time() {
    let (mut process, sent) = waiting();
    let before = KernelMessage {
        id: MessageId(1),
        message: Message::Request(Request::default()),
        ..sent
    };
    process.mailbox.try_send(before).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    process.mailbox.undelivered(REQUEST, SendErrorKind::Offline);
    let next = process.inbox.next(&mut process.conversation).await;
    assert!(matches!(next, Next::Message(message) if message.id == MessageId(1)));
    let next = process.inbox.next(&mut process.conversation).await;
    assert!(matches!(next, Next::Due));
    let now = process.inbox.now();
    let (error, _) = process.conversation.fail_due(now).unwrap();
    assert_eq!(error.kind, SendErrorKind::Offline);
    assert!(now < Moment::default().plus_seconds(2));
}

#[tokio::test(start_paused = true)]
async fn who_awaits_the_answer_hears_of_the_loss_at_once() {
    let (mut process, _) = waiting();
    let mailbox = process.mailbox.clone();
    {
        let next = process.inbox.next_for(REQUEST, &mut process.conversation);
        tokio::pin!(next);
        assert!(futures::poll!(next.as_mut()).is_pending());
        // Of a request that is over nothing is told.
        mailbox.undelivered(MessageId(1), SendErrorKind::Timeout);
        assert!(futures::poll!(next.as_mut()).is_pending());
        mailbox.undelivered(REQUEST, SendErrorKind::Offline);
        assert!(matches!(next.await, Next::Due));
    }
    let now = process.inbox.now();
    let (error, _) = process.conversation.fail_if_due(REQUEST, now).unwrap();
    assert_eq!(error.kind, SendErrorKind::Offline);
    assert!(now < Moment::default().plus_seconds(1));
}

/// A request under `id` that `source` sends.
fn request_of(source: &str, id: u64, sent: &KernelMessage) -> KernelMessage {
    KernelMessage {
        id: MessageId(id),
        source: source.parse().unwrap(),
        message: Message::Request(Request::default()),
        ..sent.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_found_behind_a_flood_and_the_rest_comes_in_its_order() {
    let (mut process, sent) = waiting();
    // More than would ever be kept, in many rounds of answers.
    let (mut flood, mut own) = (0, 0);
    let mut order = Vec::new();
    for _ in 0..4 {
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        loop {
            let stranger = request_of("mallory.dev@a:b:c", 10_000 + flood, &sent);
            if process.mailbox.try_send_of_peer(stranger).is_err() {
                break;
            }
            order.push(10_000 + flood);
            flood += 1;
        }
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        let local = request_of("me.dev@x:y:z", 1_000 + own, &sent);
        process.mailbox.try_send(local).unwrap();
        order.push(1_000 + own);
        own += 1;
        let answer = KernelMessage {
            message: Message::Response(Response::default(), None),
            ..sent.clone()
        };
        process.mailbox.try_send(answer).unwrap();
        let next = process.inbox.next_for(REQUEST, &mut process.conversation);
        let Next::Message(answer) = next.await else {
            panic!("the answer was there");
        };
        assert_eq!(answer.id, REQUEST);
    }
    assert!(flood >= 512 && own == 4, "{flood} {own}");
    for id in order {
        let Next::Message(message) = process.inbox.next(&mut process.conversation).await else {
            panic!("{id} was sent");
        };
        // Answers do not come twice.
        assert_eq!(message.id, MessageId(id));
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_full_of_kept_messages_still_hears_its_answer() {
    let (mut process, sent) = waiting();
    let mut id = 0;
    // Each round moves what is in the mailbox to what is kept, until neither
    // has room; one place is left for the answer.
    loop {
        let mut moved = 0;
        loop {
            let local = request_of("me.dev@x:y:z", 1_000 + id, &sent);
            if process.mailbox.try_send(local).is_err() {
                break;
            }
            (id, moved) = (id + 1, moved + 1);
        }
        {
            // All that there is, and not only as much as one turn takes.
            let next = process.inbox.next_for(REQUEST, &mut process.conversation);
            let mut next = std::pin::pin!(tokio::task::unconstrained(next));
            assert!(futures::poll!(next.as_mut()).is_pending());
        }
        if moved == 0 {
            break;
        }
    }
    assert!(id as usize >= MAX_KEPT + PROCESS_BOUNDS.items);
    let Next::Message(first) = process.inbox.next(&mut process.conversation).await else {
        panic!("something was kept");
    };
    assert_eq!(first.id, MessageId(1_000));
    // Room for one is made by keeping one more.
    let mailbox = process.mailbox.clone();
    let next = process.inbox.next_for(REQUEST, &mut process.conversation);
    let mut next = std::pin::pin!(tokio::task::unconstrained(next));
    assert!(futures::poll!(next.as_mut()).is_pending());
    let answer = KernelMessage {
        message: Message::Response(Response::default(), None),
        ..sent
    };
    mailbox.try_send(answer).unwrap();
    assert!(matches!(next.await, Next::Message(answer) if answer.id == REQUEST));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_outlives_the_process() {
    let (mut process, sent) = waiting();
    let local = request_of("me.dev@x:y:z", 5, &sent);
    process.mailbox.try_send(local).unwrap();
    {
        let next = process.inbox.next_for(REQUEST, &mut process.conversation);
        tokio::pin!(next);
        assert!(futures::poll!(next.as_mut()).is_pending());
    }
    let slot = process.inbox.slot.clone();
    drop(process.inbox);
    let mut again = Inbox::new(slot, Instant::now());
    let next = again.next(&mut process.conversation).await;
    assert!(matches!(next, Next::Message(message) if message.id == MessageId(5)));
}
