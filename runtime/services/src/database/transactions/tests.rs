use super::*;

/// What a module makes of both.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Error {
    Refused(Refusal),
    Full(TransactionsFull),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<TransactionsFull> for Error {
    fn from(full: TransactionsFull) -> Self {
        Self::Full(full)
    }
}

fn process(name: &str) -> ProcessId {
    format!("{name}:pkg:me.dev").parse().unwrap()
}

fn db(name: &str) -> DbKey {
    DbKey::parse(&"pkg:me.dev".parse().unwrap(), name).unwrap()
}

/// A change of so many bytes.
fn put(bytes: usize) -> (usize, usize) {
    (bytes, bytes)
}

/// Numbers that repeat, as random ones may.
fn repeating() -> impl FnMut() -> u64 {
    let mut next = 0_u64;
    move || {
        next += 1;
        (next / 2) << 40
    }
}

#[test]
fn a_transaction_is_nothing_to_others_and_to_other_databases() {
    let transactions = Transactions::<usize>::default();
    let (ours, theirs) = (process("ours"), process("theirs"));
    let mut random = repeating();
    let mut begin = |of: &str| transactions.begin(&ours, &db(of), &mut random).unwrap();
    let (one, two) = (begin("one"), begin("two"));
    assert_ne!(one, two);
    assert!(one.max(two) < 1 << 53);
    transactions
        .add::<Error>(one, &ours, &db("one"), put(5))
        .unwrap();
    let no_tx = Refusal::NoTx(one);
    for (who, of) in [(&ours, "two"), (&theirs, "one")] {
        let pushed = transactions.add::<Error>(one, who, &db(of), put(1));
        assert_eq!(pushed, Err(no_tx.clone().into()));
        assert_eq!(transactions.take(one, who, &db(of)), Err(no_tx.clone()));
    }
    let taken = transactions.take(one, &ours, &db("one"));
    assert_eq!(taken, Ok((vec![5], 5 + CHANGE)));
    assert_eq!(transactions.take(one, &ours, &db("one")), Err(no_tx));
    assert_eq!(transactions.held(), (1, 0));
    transactions.end_of_database(&db("two"));
    assert_eq!(transactions.held(), (0, 0));
}

#[test]
fn transactions_are_bounded_in_number_and_bytes() {
    let transactions = Transactions::<usize>::default();
    let mut random = repeating();
    let mut begin = |name: &str| transactions.begin(&process(name), &db("db"), &mut random);
    let first = begin("p0").unwrap();
    for _ in 1..MAX_OF_PROCESS {
        begin("p0").unwrap();
    }
    assert_eq!(begin("p0"), Err(TransactionsFull::Many));
    for number in MAX_OF_PROCESS..MAX_OPEN {
        begin(&format!("p{}", number / MAX_OF_PROCESS)).unwrap();
    }
    assert_eq!(begin("other"), Err(TransactionsFull::Many));

    let owner = process("p0");
    let push = |size| transactions.add::<Error>(first, &owner, &db("db"), put(size));
    let large = MAX_BYTES / 4 - 1024;
    for _ in 0..4 {
        push(large).unwrap();
    }
    assert_eq!(push(large), Err(TransactionsFull::Large.into()));
    let (changes, _) = transactions.take(first, &owner, &db("db")).unwrap();
    assert_eq!(
        changes.len(),
        4,
        "what was told to be too much is not in it"
    );
    assert_eq!(transactions.held(), (MAX_OPEN - 1, 0));
}

#[tokio::test(start_paused = true)]
async fn transactions_end_when_nobody_uses_them_and_not_before() {
    let transactions = Transactions::<usize>::default();
    let (_keep, events) = broadcast::channel(4);
    let mut random = repeating();
    let owner = process("ours");
    let idle = async {
        let one = transactions.begin(&owner, &db("db"), &mut random).unwrap();
        let two = transactions.begin(&owner, &db("db"), &mut random).unwrap();
        for _ in 0..3 {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            transactions
                .add::<Error>(one, &owner, &db("db"), put(1))
                .unwrap();
        }
        assert_eq!(transactions.held().0, 1, "only one was used");
        assert!(transactions.take(two, &owner, &db("db")).is_err());
        tokio::time::sleep(IDLE + Duration::from_secs(1)).await;
        assert_eq!(transactions.held(), (0, 0));
    };
    tokio::select! {
        () = transactions.tend(events) => panic!("it never returns"),
        () = idle => {}
    }
}
