//! Name resolution that leaves out the addresses that must not be called.
//!
//! The address is checked when the connection is made, of the same resolution that the connection uses: a name that is resolved
//! once for a check and again for the connection could lead elsewhere the second time (DNS rebinding).

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::http_operation::address_rule::{AddressRule, RefusedAddress};

/// The system's name resolution without the addresses that a rule refuses. It is not asked about hosts that are addresses.
pub(crate) struct CheckedResolver {
    rule: AddressRule,
}

impl CheckedResolver {
    /// Leaves out what `rule` refuses.
    pub(crate) fn new(rule: AddressRule) -> Self {
        Self { rule }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.rule.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(allowed(&rule, found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// The addresses of `found` that `rule` allows; fails if it refuses them all.
fn allowed(
    rule: &AddressRule,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, RefusedAddress> {
    let (mut allowed, mut refusal) = (Vec::new(), None);
    for address in found {
        match rule.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(refused) => refusal = Some(refused),
        }
    }
    match refusal {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn refused_addresses_of_a_name_are_left_out() {
        let rule = AddressRule::new(&[]);
        let found = addresses(&["127.0.0.1", "1.1.1.1", "::1", "2606:4700:4700::1111"]);
        let expected = addresses(&["1.1.1.1", "2606:4700:4700::1111"]);
        assert_eq!(allowed(&rule, found.into_iter()).unwrap(), expected);
    }

    #[test]
    fn a_name_with_refused_addresses_only_is_refused() {
        let found = addresses(&["127.0.0.1", "10.0.0.1"]);
        assert!(allowed(&AddressRule::new(&[]), found.into_iter()).is_err());
    }
}
