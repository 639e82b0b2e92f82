//! Queues at the moments when they begin and end.

use super::*;
use crate::testing::FakePort;

const CALLER: &str = "a:test:alice.dev";

struct Bed {
    callers: Arc<Callers>,
    room: Arc<Semaphore>,
    port: Arc<FakePort>,
}

impl Bed {
    fn new() -> Self {
        Self {
            callers: Arc::default(),
            room: Arc::new(Semaphore::new(10)),
            port: FakePort::new("alice.dev").0,
        }
    }

    /// Queues a request; whether it needs a task.
    fn push(&self, body: &str) -> bool {
        let message = self
            .port
            .request(CALLER, "vfs:distro:sys", body.to_owned(), None);
        let share = self.room.clone().try_acquire_owned().unwrap();
        self.callers
            .push(&CALLER.parse().unwrap(), (message, share))
    }

    fn queue(&self) -> Queue {
        Queue {
            callers: self.callers.clone(),
            caller: CALLER.parse().unwrap(),
            ended: false,
        }
    }
}

fn bodies(queue: &mut Queue) -> Vec<String> {
    let next = std::iter::from_fn(|| queue.next());
    next.map(|(message, _)| String::from_utf8(message.message.body().to_vec()).unwrap())
        .collect()
}

#[test]
fn a_request_that_comes_while_a_queue_ends_is_served_by_the_next() {
    let bed = Bed::new();
    assert!(bed.push("first"));
    assert!(!bed.push("second"));
    let mut ending = bed.queue();
    assert_eq!(bodies(&mut ending), ["first", "second"]);
    // Its task has found it empty and is about to end.
    assert!(bed.push("third"));
    assert!(ending.next().is_none(), "it is another's");
    drop(ending);
    let mut next = bed.queue();
    assert_eq!(bodies(&mut next), ["third"]);
    drop(next);
    assert!(!bed.callers.serves(&CALLER.parse().unwrap()));
    assert_eq!(bed.room.available_permits(), 10);
}

#[test]
fn what_waits_in_a_queue_that_is_cut_short_is_dropped() {
    let bed = Bed::new();
    assert!(bed.push("first"));
    assert!(!bed.push("second"));
    let mut cut = bed.queue();
    assert!(cut.next().is_some());
    drop(cut);
    assert_eq!(bed.room.available_permits(), 10);
    assert!(bed.push("third"), "it needs another task");
}
