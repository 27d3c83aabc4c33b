//! What a handler may reach.

use database::{Clock, Db};
use tracing::warn;

use crate::OpenError;
use crate::accounts::account_store::Accounts;
use crate::accounts::registration_tokens::RegistrationTokens;
use crate::authentication::password_hashing::Hashing;
use crate::authentication::rate_limit::Throttle;
use crate::authentication::session_store::Sessions;
use crate::keys::key_ring::KeyRing;
use crate::schema::ACCOUNTS;
use crate::settings::{OpenRegistration, Settings};
use crate::time::{SECOND, micros};

pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) registration_tokens: RegistrationTokens,
    pub(crate) throttle: Throttle,
    pub(crate) hashing: Hashing,
    pub(crate) keys: KeyRing,
}

impl App {
    pub(crate) async fn open(db: Db, settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        settings.check()?;
        if settings.open_registration == OpenRegistration::Full {
            warn!("`open_registration` is `full`: anyone who reaches Identity can become an administrator");
        }
        ACCOUNTS.migrate(&db).await?;
        let token_ttl = micros(settings.access_token_ttl);
        let keys = KeyRing::open(db.clone(), &settings.key_file, clock.clone(), token_ttl).await?;
        Ok(Self {
            accounts: Accounts::new(db.clone(), clock.clone()),
            sessions: Sessions::new(db.clone(), clock.clone()),
            registration_tokens: RegistrationTokens::new(db.clone(), clock.clone()),
            throttle: Throttle::new(db.clone(), clock.clone()),
            hashing: Hashing::new(),
            keys,
            settings,
            clock,
            db,
        })
    }

    /// How long an access token lasts.
    pub(crate) fn token_seconds(&self) -> i64 {
        micros(self.settings.access_token_ttl) / SECOND
    }
}
