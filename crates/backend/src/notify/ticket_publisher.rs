//! Publishes a ticket to Kafka for each task that was accepted.

use broker::{Broker, Ticket};
use domain::Submission;

/// Publishes the tickets of tasks that have just been committed. It does not wait for Kafka: a ticket that Kafka does not
/// take is sent again by the ticket republisher.
pub(crate) fn publish_tickets(broker: &Broker, accepted: &[Submission]) {
    for task in accepted {
        let ticket = Ticket { id: task.id, type_name: task.type_name.clone(), attempt: 1 };
        broker.publish_ticket(&task.queue, &ticket, task.trace, None);
    }
}
