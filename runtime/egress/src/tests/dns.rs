//! A name server over UDP, as far as tests need one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lifecycle::{TaskKind, Tasks};
use parking_lot::Mutex;
use tokio::net::UdpSocket;

const A: u16 = 1;
const AAAA: u16 = 28;
const HEADER: usize = 12;

/// What it says about a name, one answer for each time it is asked; the last
/// one again and again.
type Answers = HashMap<&'static str, Vec<Vec<IpAddr>>>;

/// See the module's documentation.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<HashMap<(String, u16), usize>>>,
}

impl NameServer {
    /// Answers; names it does not know, it says there are none.
    pub(super) async fn new(tasks: &Tasks, answers: &[(&'static str, &[&str])]) -> Self {
        let answers: Answers = answers
            .iter()
            .map(|(name, answers)| {
                let answers = answers
                    .iter()
                    .map(|answer| {
                        let addresses = answer.split_whitespace();
                        addresses.map(|text| text.parse().unwrap()).collect()
                    })
                    .collect();
                (*name, answers)
            })
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let count = asked.clone();
        tasks.spawn(TaskKind::abortable("name server"), async move {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let answer = answer(&packet[..length], &answers, &count);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self { address, asked }
    }

    /// How often it was asked for addresses of version 4 of this name.
    pub(super) fn asked(&self, name: &str) -> usize {
        let asked = self.asked.lock();
        asked.get(&(name.to_owned(), A)).copied().unwrap_or(0)
    }

    /// Of anything.
    pub(super) fn asked_at_all(&self) -> usize {
        self.asked.lock().values().sum()
    }
}

fn answer(
    query: &[u8],
    answers: &Answers,
    asked: &Mutex<HashMap<(String, u16), usize>>,
) -> Vec<u8> {
    let mut at = HEADER;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[HEADER..at + 5];
    let time = {
        let mut asked = asked.lock();
        let times = asked.entry((name.clone(), kind)).or_default();
        *times += 1;
        *times - 1
    };
    let known = answers.get(name.as_str());
    let addresses = known.and_then(|answers| answers.get(time).or(answers.last()));
    let records: Vec<u8> = addresses
        .into_iter()
        .flatten()
        .filter(|address| address.is_ipv4() == (kind == A))
        .flat_map(|address| record(*address))
        .collect();
    let count = addresses
        .into_iter()
        .flatten()
        .filter(|address| address.is_ipv4() == (kind == A))
        .count();
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let mut reply = query[..2].to_vec();
    reply.extend([
        0x81,
        code,
        0,
        1,
        0,
        u8::try_from(count).unwrap(),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(question);
    reply.extend(records);
    reply
}

/// Of the name in the question, not to be kept at all.
fn record(address: IpAddr) -> Vec<u8> {
    let (kind, bytes) = match address {
        IpAddr::V4(four) => (A, four.octets().to_vec()),
        IpAddr::V6(six) => (AAAA, six.octets().to_vec()),
    };
    let mut record = vec![0xc0, u8::try_from(HEADER).unwrap()];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0]);
    record.push(u8::try_from(bytes.len()).unwrap());
    record.extend(bytes);
    record
}
