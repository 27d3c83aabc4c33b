//! The state that all request handlers share.

use database::{Db, ProcessClock, WriteCheck};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::accounts::account_store::AccountStore;
use crate::accounts::registration_tokens::RegistrationTokens;
use crate::authentication::lockout::Lockout;
use crate::authentication::password_hashing::PasswordHasher;
use crate::authentication::rate_limit::RateLimiter;
use crate::authentication::revocations::Revocations;
use crate::authentication::session_store::SessionStore;
use crate::clients::registry::ClientRegistry;
use crate::error::OpenError;
use crate::grants::consents::Consents;
use crate::grants::device_store::DeviceStore;
use crate::grants::grant_store::GrantStore;
use crate::keys::key_ring::KeyRing;
use crate::metrics;
use crate::schema::IDENTITY_SCHEMA;
use crate::settings::{OpenRegistration, Settings};
use crate::time::{SECOND, micros};

/// Settings, stores and the key ring of one Identity.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) clock: ProcessClock,
    pub(crate) write_check: WriteCheck,
    pub(crate) accounts: AccountStore,
    pub(crate) sessions: SessionStore,
    pub(crate) registration_tokens: RegistrationTokens,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) lockout: Lockout,
    pub(crate) password_hasher: PasswordHasher,
    pub(crate) keys: KeyRing,
    pub(crate) revocations: Revocations,
    pub(crate) clients: ClientRegistry,
    pub(crate) grants: GrantStore,
    pub(crate) consents: Consents,
    pub(crate) devices: DeviceStore,
    /// What runs to its end though its client hangs up: checks of passwords, whose number the permits to hash bound, and changes of
    /// accounts.
    pub(crate) running: TaskTracker,
}

impl App {
    /// Checks the settings, migrates the tables and opens the key ring.
    pub(crate) async fn open(db: Db, settings: Settings, clock: ProcessClock) -> Result<Self, OpenError> {
        settings.check()?;
        if settings.open_registration == OpenRegistration::Full {
            warn!(
                "`identity.open_registration` is `full`: anyone who reaches Identity can become an administrator"
            );
        }
        metrics::start_counters();
        IDENTITY_SCHEMA.migrate(&db).await?;
        let token_ttl = micros(settings.access_token_ttl);
        let keys = KeyRing::open(db.clone(), &settings.key_file, clock.clone(), token_ttl).await?;
        let revocations = Revocations::new(db.clone(), clock.clone());
        revocations.store_clients(&settings.clients, &keys).await?;
        let clients = ClientRegistry::new(&settings.clients);
        let grants = GrantStore::new(db.clone(), clock.clone());
        grants.end_of_removed_clients(|id| clients.find(id).is_some()).await?;
        Ok(Self {
            accounts: AccountStore::new(db.clone(), clock.clone()),
            sessions: SessionStore::new(db.clone(), clock.clone()),
            registration_tokens: RegistrationTokens::new(db.clone(), clock.clone()),
            rate_limiter: RateLimiter::new(db.clone(), clock.clone()),
            lockout: Lockout::new(db.clone(), clock.clone()),
            password_hasher: PasswordHasher::new(),
            keys,
            revocations,
            clients,
            grants,
            consents: Consents::new(db.clone(), clock.clone()),
            devices: DeviceStore::new(db.clone(), clock.clone()),
            running: TaskTracker::new(),
            write_check: WriteCheck::new(db, IDENTITY_SCHEMA),
            settings,
            clock,
        })
    }

    /// The lifetime of an access token, in seconds.
    pub(crate) fn token_ttl_seconds(&self) -> i64 {
        micros(self.settings.access_token_ttl) / SECOND
    }
}
