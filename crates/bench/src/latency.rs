//! Latency of single produce requests at a fixed rate, measured from the moment at which each request *should* have
//! been sent: a broker that stalls makes the requests behind it late too, and they count (no coordinated omission).

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::replay::{self, Shape};
use crate::{clock, wire};

/// Percentiles of one run in milliseconds.
pub(crate) struct Latency {
    /// Half of all requests were answered within this time.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
}

/// Sends single-record requests at `rate` a second for `span` over one connection.
pub(crate) fn measure(addr: SocketAddr, topic: &str, rate: u32, span: Duration) -> Result<Latency> {
    let shape = Shape { partitions: 1, records: 1, value_bytes: 1_000, acks: -1 };
    let frame = shape.request(topic)?;
    let count = (u64::from(rate) * span.as_secs()).max(1);
    let mut reader = wire::Connection::open(addr)?;
    replay::first(&mut reader, &frame)?;
    let mut writer = reader.split()?;
    let begin = clock::now() + Duration::from_millis(50);
    let due = move |number: u64| begin + Duration::from_secs_f64(number as f64 / f64::from(rate));
    // The kernel wakes a sleeper up to 50 µs late unless it is told not to, and that would count as the broker's.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).context("ask for exact timers")?;
    let mut millis = thread::scope(|scope| {
        let receiving = scope.spawn(move || -> Result<Vec<f64>> {
            let mut response = Vec::new();
            let mut millis = Vec::with_capacity(usize::try_from(count).context("too many requests")?);
            for number in 0..count {
                reader.receive(&mut response)?;
                millis.push(clock::now().saturating_duration_since(due(number)).as_secs_f64() * 1e3);
                if number == 0 {
                    replay::check(&response)?;
                }
            }
            Ok(millis)
        });
        for number in 0..count {
            wait_until(due(number));
            writer.send(&frame)?;
        }
        receiving.join().map_err(|_| anyhow!("the reading thread panicked"))?
    })?;
    millis.sort_by(f64::total_cmp);
    Ok(Latency { p50: quantile(&millis, 0.5), p99: quantile(&millis, 0.99), p999: quantile(&millis, 0.999) })
}

fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(clock::now());
    if !left.is_zero() {
        clock::pause(left);
    }
}

/// The smallest value that at least this share of the sorted values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let millis: Vec<f64> = (1..=1_000).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 0.999].map(|share| quantile(&millis, share)), [500.0, 990.0, 999.0]);
        assert_eq!(quantile(&[7.0], 0.999), 7.0);
    }
}
