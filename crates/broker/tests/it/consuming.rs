//! Tickets and results are delivered, shared by a group's members, and done only when they are acknowledged.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use broker::GroupProtocol;
use domain::TraceContext;

use crate::kit::{TestProcess, next, queue, result_message, settings, ticket};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_delivered_with_its_trace_and_a_result_byte_for_byte() {
    let process = TestProcess::ready(settings()).await;
    let (mut tickets, mut results) = (process.tickets(8), process.results());
    let (ticket, trace) = (ticket(), TRACE.parse::<TraceContext>().unwrap());
    assert!(process.broker.publish_ticket(&queue(), &ticket, Some(trace), None));
    let delivery = next(&mut tickets).await;
    assert_eq!((delivery.message, delivery.trace), (ticket, Some(trace)));

    let result = result_message(r#"{ "big": 18446744073709551616 }"#);
    process.broker.publish_result(&result).await.unwrap();
    let delivery = next(&mut results).await;
    assert_eq!((delivery.message, delivery.trace), (result, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_messages_are_redelivered_and_acknowledged_ones_are_not() {
    let process = TestProcess::ready(settings()).await;
    let results: Vec<_> = (0..6).map(|number| result_message(&number.to_string())).collect();
    let mut subscription = process.results();
    for result in &results {
        process.broker.publish_result(result).await.unwrap();
    }
    let mut unacknowledged = HashSet::new();
    for count in 0..results.len() {
        let delivery = next(&mut subscription).await;
        if count < 4 {
            subscription.ack(delivery.position);
        } else {
            unacknowledged.insert(delivery.message.report.id);
        }
    }
    let settings = process.settings.clone();
    drop(subscription);
    process.stop().await;

    let process = TestProcess::ready(settings).await;
    let mut subscription = process.results();
    let last = result_message("\"last\"");
    process.broker.publish_result(&last).await.unwrap();
    let mut seen = HashSet::new();
    while !unacknowledged.is_subset(&seen) || !seen.contains(&last.report.id) {
        seen.insert(next(&mut subscription).await.message.report.id);
    }
    let acknowledged = results.iter().filter(|result| !unacknowledged.contains(&result.report.id));
    let redeliveries = acknowledged.filter(|result| seen.contains(&result.report.id)).count();
    // The messages are in three partitions; no offset above an unacknowledged message is stored.
    assert_eq!(redeliveries, 0, "acknowledged messages were delivered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_tickets_and_a_busy_one_buffers_no_more_than_its_capacity() {
    for group_protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let settings = broker::Settings { group_protocol, ..settings() };
        let process = TestProcess::ready(settings.clone()).await;
        let (busy, mut idle) = (process.tickets(2), process.tickets(2));
        // The tickets are spread over all partitions, so each member receives some.
        let total = 90;
        let tickets: Vec<_> = (0..total).map(|_| ticket()).collect();
        for ticket in &tickets {
            assert!(process.broker.publish_ticket(&queue(), ticket, None, None));
        }
        let mut seen = HashSet::new();
        let mut busy = Some(busy);
        while seen.len() < total {
            let delivery = next(&mut idle).await;
            seen.insert(delivery.message.id);
            idle.ack(delivery.position);
            if seen.len() == 1 {
                // Its partitions are assigned to the other member, with all unacknowledged tickets.
                drop(busy.take());
            }
        }
        assert_eq!(seen, tickets.iter().map(|ticket| ticket.id).collect(), "{group_protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_consumer_resumes_after_a_rebalance() {
    let process = TestProcess::ready(settings()).await;
    let mut slow = process.tickets(1);
    let total = 60;
    let tickets: Vec<_> = (0..total).map(|_| ticket()).collect();
    for ticket in &tickets {
        process.broker.publish_ticket(&queue(), ticket, None, None);
    }
    let mut seen = HashSet::new();
    let first = next(&mut slow).await;
    seen.insert(first.message.id);
    // The consumer is paused by now. Another member joins, is assigned partitions, and leaves: the paused ones must be
    // resumed after that.
    let mut other = process.tickets(1);
    let shared = Arc::new(AtomicUsize::new(0));
    let delivery = tokio::select! {
        delivery = next(&mut other) => Some(delivery),
        () = async { while ack_next(&mut slow, &mut seen).await < total { shared.fetch_add(1, Ordering::Relaxed); } } => None,
    };
    drop(delivery);
    drop(other);
    slow.ack(first.position);
    while seen.len() < total {
        ack_next(&mut slow, &mut seen).await;
    }
    assert_eq!(seen.len(), total);
}

async fn ack_next(
    subscription: &mut broker::MessageReceiver<broker::Ticket>,
    seen: &mut HashSet<domain::TaskId>,
) -> usize {
    let delivery = next(subscription).await;
    subscription.ack(delivery.position);
    seen.insert(delivery.message.id);
    seen.len()
}
