//! Tickets and results go through, are shared, and are done with only when their reader says so.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use broker::GroupProtocol;
use domain::TraceContext;

use crate::kit::{Bench, next, posted, queue, settings, ticket};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_arrives_with_its_trace_and_a_result_as_it_was_posted() {
    let bench = Bench::ready(settings()).await;
    let (mut tickets, mut results) = (bench.tickets(8), bench.results());
    let (ticket, trace) = (ticket(), TRACE.parse::<TraceContext>().unwrap());
    assert!(bench.broker.publish_ticket(&queue(), &ticket, Some(trace), None));
    let incoming = next(&mut tickets).await;
    assert_eq!((incoming.message, incoming.trace), (ticket, Some(trace)));

    let result = posted(r#"{ "big": 18446744073709551616 }"#);
    bench.broker.publish_result(&result).await.unwrap();
    let incoming = next(&mut results).await;
    assert_eq!((incoming.message, incoming.trace), (result, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_with_is_seen_again_and_the_rest_is_not() {
    let bench = Bench::ready(settings()).await;
    let results: Vec<_> = (0..6).map(|number| posted(&number.to_string())).collect();
    let mut feed = bench.results();
    for result in &results {
        bench.broker.publish_result(result).await.unwrap();
    }
    let mut undone = HashSet::new();
    for count in 0..results.len() {
        let incoming = next(&mut feed).await;
        if count < 4 {
            feed.ack(incoming.mark);
        } else {
            undone.insert(incoming.message.report.id);
        }
    }
    let again = settings_of(&bench);
    drop(feed);
    bench.leave().await;

    let bench = Bench::ready(again).await;
    let mut feed = bench.results();
    let last = posted("\"last\"");
    bench.broker.publish_result(&last).await.unwrap();
    let mut seen = HashSet::new();
    while !undone.is_subset(&seen) || !seen.contains(&last.report.id) {
        seen.insert(next(&mut feed).await.message.report.id);
    }
    let done = results.iter().filter(|result| !undone.contains(&result.report.id));
    let redeliveries = done.filter(|result| seen.contains(&result.report.id)).count();
    // Messages lie in three partitions; below an undone one nothing is stored.
    assert_eq!(redeliveries, 0, "what was done with came again");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_tickets_and_a_busy_one_takes_no_more_than_it_has_room_for() {
    for group_protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let settings = broker::Settings { group_protocol, ..settings() };
        let bench = Bench::ready(settings.clone()).await;
        let (busy, mut idle) = (bench.tickets(2), bench.tickets(2));
        // Both are members once each has been offered something: it goes to every partition.
        let total = 90;
        let tickets: Vec<_> = (0..total).map(|_| ticket()).collect();
        for ticket in &tickets {
            assert!(bench.broker.publish_ticket(&queue(), ticket, None, None));
        }
        let mut seen = HashSet::new();
        let mut busy = Some(busy);
        while seen.len() < total {
            let incoming = next(&mut idle).await;
            seen.insert(incoming.message.id);
            idle.ack(incoming.mark);
            if seen.len() == 1 {
                // Its partitions come to the other one, with all that it has not done.
                drop(busy.take());
            }
        }
        assert_eq!(seen, tickets.iter().map(|ticket| ticket.id).collect(), "{group_protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_busy_for_long_goes_on_where_it_was_after_a_rebalance() {
    let bench = Bench::ready(settings()).await;
    let mut slow = bench.tickets(1);
    let total = 60;
    let tickets: Vec<_> = (0..total).map(|_| ticket()).collect();
    for ticket in &tickets {
        bench.broker.publish_ticket(&queue(), ticket, None, None);
    }
    let mut seen = HashSet::new();
    let first = next(&mut slow).await;
    seen.insert(first.message.id);
    // Paused by now; another member comes, takes its share, and goes: what is paused must run again after it.
    let mut other = bench.tickets(1);
    let shared = Arc::new(AtomicUsize::new(0));
    let incoming = tokio::select! {
        incoming = next(&mut other) => Some(incoming),
        () = async { while next_done(&mut slow, &mut seen).await < total { shared.fetch_add(1, Ordering::Relaxed); } } => None,
    };
    drop(incoming);
    drop(other);
    slow.ack(first.mark);
    while seen.len() < total {
        next_done(&mut slow, &mut seen).await;
    }
    assert_eq!(seen.len(), total);
}

async fn next_done(
    feed: &mut broker::Subscription<broker::Ticket>,
    seen: &mut HashSet<domain::TaskId>,
) -> usize {
    let incoming = next(feed).await;
    feed.ack(incoming.mark);
    seen.insert(incoming.message.id);
    seen.len()
}

fn settings_of(bench: &Bench) -> broker::Settings {
    bench.settings.clone()
}
