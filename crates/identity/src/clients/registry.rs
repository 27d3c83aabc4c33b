//! The clients that Identity knows: those of the settings, the built-in ones, and those of the original.

use std::collections::BTreeMap;

use crate::clients::built_in;
use crate::clients::client::{Client, GrantType};
use crate::legacy_clients;
use crate::scope::USER_SCOPES;

/// Clients by id.
pub(crate) struct ClientRegistry(BTreeMap<String, Client>);

impl ClientRegistry {
    /// The clients of the settings `configured`, and all others that those do not replace.
    pub(crate) fn new(configured: &[Client]) -> Self {
        let others = built_in::all().into_iter().chain(legacy_clients::CANONICAL_IDS.map(legacy));
        let all = others.chain(configured.iter().cloned());
        Self(all.map(|client| (client.id.clone(), client)).collect())
    }

    /// The client with this id. A client of the original has several.
    pub(crate) fn find(&self, id: &str) -> Option<&Client> {
        self.0.get(legacy_clients::canonical_id(id).unwrap_or(id))
    }
}

/// A public client of the original: it gets tokens for names and passwords.
fn legacy(id: &str) -> Client {
    Client {
        id: id.to_owned(),
        name: id.to_owned(),
        secret: None,
        roles: Vec::new(),
        grants: vec![GrantType::Password],
        scopes: USER_SCOPES.to_vec(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        needs_consent: false,
    }
}
