//! A name server that says what a test has it say. It speaks UDP only, on a
//! thread of its own that ends when it is dropped; every answer is to be
//! forgotten at once (TTL 0).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Types of records.
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// Length of the head of a message.
const HEAD: usize = 12;
/// How often the thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(100);
/// A response without an error, to a question that asked for recursion.
const FOUND: u16 = 0x8180;
/// There is no such name.
const NO_SUCH_NAME: u16 = 0x8183;
/// The server does not want to.
const REFUSED: u16 = 0x8185;

/// What is said of a name.
#[derive(Debug, Clone)]
pub enum Says {
    /// These addresses, of the kind that is asked for.
    Addresses(Vec<IpAddr>),
    /// Something else each time it is asked, for each kind apart; the last of
    /// them from then on.
    InTurn(Vec<Vec<IpAddr>>),
    /// It is another name, which has these addresses.
    Alias(String, Vec<IpAddr>),
    /// Its name is itself, again and again.
    AliasOfItself,
    /// There is no such name.
    Nobody,
    /// Not a word.
    Nothing,
    /// That it does not say.
    Refused,
    /// Something that is no message, or a misleading one.
    Broken(Broken),
}

/// Ways in which an answer is wrong.
#[derive(Debug, Clone, Copy)]
pub enum Broken {
    /// Its record's name is a pointer to that very pointer.
    Loop,
    /// Its record's name points behind the message.
    Beyond,
    /// Its record is longer than the message.
    Long,
    /// It has one record and says it has 65,535.
    Count,
    /// Its record is of another name.
    Another,
    /// It answers a question that nobody asked.
    Unasked,
    /// It ends within its head.
    Short,
    /// Five hundred records.
    Many,
}

/// See the module's documentation.
pub struct Dns {
    address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One question.
struct Question<'a> {
    id: [u8; 2],
    /// Lower case, without a final dot.
    name: String,
    kind: u16,
    /// As it was asked.
    bytes: &'a [u8],
}

impl Dns {
    /// Knows `names`, and no others.
    pub fn start(names: &[(&str, Says)]) -> Self {
        let names = names.iter().cloned();
        let names: HashMap<String, Says> =
            names.map(|(name, says)| (name.to_owned(), says)).collect();
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (asked, stop) = (asked.clone(), stop.clone());
            move || serve(&socket, &names, &asked, &stop)
        });
        Self {
            address,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// What a host is given as `--egress-dns`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How often it was asked for `name`, whatever the kind.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    socket: &UdpSocket,
    names: &HashMap<String, Says>,
    asked: &Mutex<HashMap<String, usize>>,
    stop: &AtomicBool,
) {
    let mut turns = HashMap::<(String, u16), usize>::new();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(question) = Question::parse(&buffer[..length]) else {
            continue;
        };
        *asked
            .lock()
            .unwrap()
            .entry(question.name.clone())
            .or_default() += 1;
        let says = names.get(&question.name).unwrap_or(&Says::Nobody);
        let turn = turns
            .entry((question.name.clone(), question.kind))
            .or_default();
        if let Some(answer) = question.answer(says, *turn) {
            let _ = socket.send_to(&answer, peer);
        }
        *turn += 1;
    }
}

impl<'a> Question<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = HEAD;
        loop {
            let length = usize::from(*message.get(at)?);
            let label = message.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_lowercase());
        }
        let kind = message.get(at..at + 2)?;
        Some(Self {
            id: [message[0], message[1]],
            name: labels.join("."),
            kind: u16::from_be_bytes([kind[0], kind[1]]),
            bytes: message.get(HEAD..at + 4)?,
        })
    }

    fn answer(&self, says: &Says, turn: usize) -> Option<Vec<u8>> {
        let own = pointer(HEAD);
        match says {
            Says::Addresses(addresses) => Some(self.found(&self.records(&own, addresses))),
            Says::InTurn(turns) => {
                let addresses = turns.get(turn).or(turns.last())?;
                Some(self.found(&self.records(&own, addresses)))
            }
            Says::Alias(other, addresses) => {
                let mut records = vec![record(&own, CNAME, &encoded(other))];
                records.extend(self.records(&encoded(other), addresses));
                Some(self.found(&records))
            }
            Says::AliasOfItself => Some(self.found(&[record(&own, CNAME, &encoded(&self.name))])),
            Says::Nobody => Some(self.message(NO_SUCH_NAME, 0, &[])),
            Says::Refused => Some(self.message(REFUSED, 0, &[])),
            Says::Nothing => None,
            Says::Broken(how) => Some(self.broken(*how)),
        }
    }

    /// Those of `addresses` that are asked for.
    fn records(&self, name: &[u8], addresses: &[IpAddr]) -> Vec<Vec<u8>> {
        let wanted = addresses.iter().filter_map(|address| match address {
            IpAddr::V4(v4) if self.kind == A => Some(record(name, A, &v4.octets())),
            IpAddr::V6(v6) if self.kind == AAAA => Some(record(name, AAAA, &v6.octets())),
            _ => None,
        });
        wanted.collect()
    }

    fn broken(&self, how: Broken) -> Vec<u8> {
        let end = HEAD + self.bytes.len();
        let loopback = match self.kind {
            AAAA => record(&pointer(HEAD), AAAA, &{
                let mut one = [0; 16];
                one[15] = 1;
                one
            }),
            _ => record(&pointer(HEAD), A, &[127, 0, 0, 1]),
        };
        let renamed = |name: &[u8]| [name, &loopback[2..]].concat();
        match how {
            Broken::Loop => self.found(&[renamed(&pointer(end))]),
            Broken::Beyond => self.found(&[renamed(&pointer(0x3fff))]),
            Broken::Another => self.found(&[renamed(&encoded("another.test"))]),
            Broken::Long => {
                let mut long = loopback;
                // The length follows name, type, class and TTL.
                long[10..12].copy_from_slice(&[0xff, 0xff]);
                self.found(&[long])
            }
            Broken::Count => self.message(FOUND, u16::MAX, &[loopback]),
            Broken::Unasked => {
                let mut message = self.found(&[loopback]);
                message[0] ^= 0xff;
                message
            }
            Broken::Short => self.found(&[])[..HEAD / 2].to_vec(),
            Broken::Many => self.found(&vec![loopback; 500]),
        }
    }

    fn found(&self, records: &[Vec<u8>]) -> Vec<u8> {
        self.message(FOUND, u16::try_from(records.len()).unwrap(), records)
    }

    fn message(&self, flags: u16, count: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = self.id.to_vec();
        for number in [flags, 1, count, 0, 0] {
            message.extend(number.to_be_bytes());
        }
        message.extend(self.bytes);
        message.extend(records.concat());
        message
    }
}

/// A name that stands at `offset` already.
fn pointer(offset: usize) -> [u8; 2] {
    (0xc000 | u16::try_from(offset).unwrap()).to_be_bytes()
}

/// A name at its whole length.
fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = name.to_vec();
    record.extend(kind.to_be_bytes());
    // Class IN, TTL 0.
    record.extend([0, 1, 0, 0, 0, 0]);
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

#[test]
fn what_it_says_is_dns() {
    let addresses = vec!["127.0.0.2".parse().unwrap(), "::1".parse().unwrap()];
    let server = Dns::start(&[("a.test", Says::Addresses(addresses))]);
    let ask = |name: &str, kind: u16| {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut question = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(encoded(name));
        question.extend(kind.to_be_bytes());
        question.extend([0, 1]);
        socket.send_to(&question, server.address()).unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..2], [7, 9]);
        assert_eq!(buffer[HEAD..question.len()], question[HEAD..]);
        (
            buffer[3],
            buffer[7],
            buffer[question.len()..length].to_vec(),
        )
    };
    let four = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 2];
    assert_eq!(ask("a.test", A), (0x80, 1, four.to_vec()));
    let (_, count, six) = ask("A.TEST", AAAA);
    assert_eq!((count, six.len(), six[27]), (1, 28, 1));
    assert_eq!(ask("b.test", A), (0x83, 0, Vec::new()));
    assert_eq!((server.asked("a.test"), server.asked("b.test")), (2, 1));
}
