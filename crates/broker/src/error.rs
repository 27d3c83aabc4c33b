//! Why no Kafka client can be created from the settings.

use rdkafka::error::KafkaError;

use crate::allowed_properties;
use crate::settings::{InvalidSetting, Settings};

/// The settings were rejected, so no Kafka client was created.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Tasker rejects a setting.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// librdkafka rejects a property; the text contains no values, since they may be secrets.
    #[error("{0}")]
    Client(String),
}

impl BrokerError {
    /// Wraps librdkafka's reason for rejecting `settings`.
    pub(crate) fn rejected_settings(error: &KafkaError, settings: &Settings) -> Self {
        Self::Client(allowed_properties::rejection(error, &settings.properties))
    }
}
