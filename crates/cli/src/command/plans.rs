//! `penstock plans`: what can be asked for.

use crate::arguments::Place;
use crate::connection;
use crate::failure::Failure;
use crate::output::{Output, table};

pub(crate) async fn run(place: &Place, output: &Output) -> Result<(), Failure> {
    let plans = connection::client(place)?.plans().await?;
    output.data(&plans, |plans| {
        let rows: Vec<[String; 5]> = plans
            .iter()
            .map(|plan| {
                [
                    plan.name.clone(),
                    plan.brokers.to_string(),
                    gigabytes(plan.limits.data_size_bytes),
                    plan.limits.max_topics.to_string(),
                    price(plan.price_cents),
                ]
            })
            .collect();
        table(["PLAN", "BROKERS", "STORAGE", "TOPICS", "PRICE"], &rows)
    })
}

fn gigabytes(bytes: u64) -> String {
    format!("{} GiB", bytes >> 30)
}

fn price(cents: u32) -> String {
    if cents == 0 { "free".to_owned() } else { format!("${}.{:02} a month", cents / 100, cents % 100) }
}
