//! What the tests of every crate share: an empty database on either kind of server, a Kafka, and a certificate authority.

mod certificate_authority;
mod environment;
mod kafka;
mod test_database;

pub use certificate_authority::{CertificateAuthority, SignedCertificate};
pub use kafka::{DedicatedKafka, KafkaTlsAccess, kafka_address, kafka_tls_access, unique_prefix};
pub use test_database::{TestDatabase, postgres_ca_file, postgres_url};
