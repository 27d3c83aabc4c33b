//! Publishes a ticket to Kafka for each task that was accepted.

use broker::{Broker, Ticket};
use domain::{InstallationId, Submission};

/// Publishes the tickets of one installation.
pub(crate) struct TicketPublisher {
    pub(crate) broker: Broker,
    pub(crate) installation: InstallationId,
}

impl TicketPublisher {
    /// Publishes the tickets of tasks that have just been committed. It does not wait for Kafka: a ticket that Kafka does not
    /// take is sent again by the ticket republisher.
    pub(crate) fn publish(&self, accepted: &[Submission]) {
        let installation = self.installation;
        for task in accepted {
            let ticket = Ticket { id: task.id, type_name: task.type_name.clone(), attempt: 1, installation };
            self.broker.publish_ticket(&task.queue, &ticket, task.trace, None);
        }
    }
}
