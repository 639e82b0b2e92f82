//! Limits how often one client address may do something.
//!
//! Memory is bounded: addresses are kept in two generations of at most
//! [`GENERATION`] entries, and when the young one is full the old one is
//! forgotten. So a flood from very many addresses loosens the limit for those
//! not seen lately; it never grows memory and never blocks anybody else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client::customer;
use crate::options::Rate;

/// Addresses in one generation.
const GENERATION: usize = 8192;

/// One limit over all client addresses.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Time that one use takes back.
    interval: Duration,
    /// How far ahead of the clock an address may get.
    tolerance: Duration,
    count_loopback: bool,
    seen: Mutex<Generations>,
}

/// When each address will have paid for all its uses.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<IpAddr, Instant>,
    old: HashMap<IpAddr, Instant>,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate, count_loopback: bool) -> Self {
        let interval = rate.per / rate.burst.max(1);
        Self {
            interval,
            tolerance: interval * rate.burst.max(1),
            count_loopback,
            seen: Mutex::default(),
        }
    }

    /// Counts one use by `address`; if it had too many, says how long to wait.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        if address.is_loopback() && !self.count_loopback {
            return Ok(());
        }
        let address = customer(address);
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let paid = seen.get(address).map_or(now, |paid| paid.max(now));
        let next = paid + self.interval;
        let ahead = next.duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        seen.put(address, next);
        Ok(())
    }

    /// Whether [`Self::check`] would refuse `address` now.
    pub(crate) fn is_over(&self, address: IpAddr) -> bool {
        let now = Instant::now();
        let paid = self.seen.lock().get(customer(address));
        paid.is_some_and(|paid| (paid + self.interval).duration_since(now) > self.tolerance)
    }

    /// Counts one use by `address`, however many it had.
    pub(crate) fn charge(&self, address: IpAddr) {
        let (address, now) = (customer(address), Instant::now());
        let mut seen = self.seen.lock();
        let paid = seen.get(address).map_or(now, |paid| paid.max(now));
        seen.put(address, paid + self.interval);
    }

    /// Takes one use by `address` back, if there is one.
    pub(crate) fn give_back(&self, address: IpAddr) {
        let (address, now) = (customer(address), Instant::now());
        let mut seen = self.seen.lock();
        let paid = seen.get(address).filter(|paid| *paid > now);
        if let Some(paid) = paid.and_then(|paid| paid.checked_sub(self.interval)) {
            seen.put(address, paid);
        }
    }
}

impl Generations {
    fn get(&self, address: IpAddr) -> Option<Instant> {
        self.young
            .get(&address)
            .or_else(|| self.old.get(&address))
            .copied()
    }

    fn put(&mut self, address: IpAddr, paid: Instant) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&address) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(address, paid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(count_loopback: bool) -> RateLimit {
        let rate = Rate {
            burst: 3,
            per: Duration::from_secs(30),
        };
        RateLimit::new(rate, count_loopback)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_one_per_interval() {
        let limit = limit(false);
        for _ in 0..3 {
            assert_eq!(limit.check(ip("192.0.2.1")), Ok(()));
        }
        let wait = limit.check(ip("192.0.2.1")).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(limit.check(ip("192.0.2.2")), Ok(()), "others are not hit");
        tokio::time::advance(wait).await;
        assert_eq!(limit.check(ip("192.0.2.1")), Ok(()));
        assert!(limit.check(ip("192.0.2.1")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_v6_customer_is_one_address_and_loopback_is_free() {
        let limit = limit(false);
        for last in 0..3 {
            assert_eq!(limit.check(ip(&format!("2001:db8::{last}"))), Ok(()));
        }
        assert!(limit.check(ip("2001:db8::ffff")).is_err());
        assert_eq!(limit.check(ip("2001:db8:0:1::1")), Ok(()));
        for _ in 0..10 {
            assert_eq!(limit.check(ip("127.0.0.1")), Ok(()));
            assert_eq!(limit.check(ip("::1")), Ok(()));
        }
        let counting = self::limit(true);
        for _ in 0..3 {
            assert_eq!(counting.check(ip("127.0.0.1")), Ok(()));
        }
        assert!(counting.check(ip("127.0.0.1")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_was_not_used() {
        let limit = limit(true);
        let (busy, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        limit.give_back(busy);
        for _ in 0..2 {
            limit.charge(busy);
        }
        assert!(!limit.is_over(busy));
        limit.charge(busy);
        assert!(limit.is_over(busy) && !limit.is_over(other));
        limit.give_back(busy);
        assert!(!limit.is_over(busy));
        limit.charge(busy);
        assert!(limit.is_over(busy));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!limit.is_over(busy));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let limit = limit(false);
        for number in 0..(3 * GENERATION as u32) {
            let _ = limit.check(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into());
        }
        let seen = limit.seen.lock();
        assert!(seen.young.len() <= GENERATION && seen.old.len() <= GENERATION);
    }
}
