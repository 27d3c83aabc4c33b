//! Publishes a ticket to Kafka for each task that has become ready.

use broker::{Broker, Ticket};
use domain::{InstallationId, Submission};
use store::ReadyTask;

/// Publishes the tickets of one installation. It does not wait for Kafka: a ticket that Kafka does not take is sent again by the
/// ticket republisher.
#[derive(Clone)]
pub(crate) struct TicketPublisher {
    pub(crate) broker: Broker,
    pub(crate) installation: InstallationId,
}

impl TicketPublisher {
    /// Publishes the first ticket of a task that has just been committed.
    pub(crate) fn publish_accepted(&self, task: &Submission) {
        let (id, type_name, installation) = (task.id, task.type_name.clone(), self.installation);
        let ticket = Ticket { id, type_name, attempt: 1, priority: task.options.priority, installation };
        self.broker.publish_ticket(&task.queue, &ticket, task.trace, None);
    }

    /// Publishes a ticket of a task that is ready. `republish_round`: it has been published before, and this is the round of its
    /// republication. `true`: it is on its way.
    pub(crate) fn publish_ready(&self, task: &ReadyTask, republish_round: Option<u64>) -> bool {
        let (id, type_name, installation) = (task.id, task.type_name.clone(), self.installation);
        let ticket =
            Ticket { id, type_name, attempt: task.attempt + 1, priority: task.priority, installation };
        self.broker.publish_ticket(&task.queue, &ticket, None, republish_round)
    }
}
