//! The limit of connections from one network: a single client cannot use up the open files of the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use web::network::network;

/// Counts the open connections of each client, by its [`network`].
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    most: u32,
    open: Arc<Mutex<HashMap<String, u32>>>,
}

/// The right to one connection; dropping it gives the right back.
#[derive(Debug)]
pub struct ConnectionPermit {
    network: String,
    open: Arc<Mutex<HashMap<String, u32>>>,
}

impl ConnectionLimit {
    /// At most `most` connections from one network. Loopback counts like any other.
    pub fn new(most: NonZeroU32) -> Self {
        Self { most: most.get(), open: Arc::default() }
    }

    /// A permit for one more connection from `address`; `None` if its network has as many as it may have.
    pub fn permit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let (network, mut open) = (network(address), self.open.lock());
        let count = open.entry(network.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { network, open: self.open.clone() })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_own_limit_and_gets_it_back() {
        let limit = ConnectionLimit::new(NonZeroU32::MIN);
        let permit = |address: &str| limit.permit(address.parse().unwrap());
        let first = permit("2001:db8::1");
        assert!(first.is_some() && permit("2001:db8::2").is_none());
        assert!(permit("2001:db8:0:1::1").is_some() && permit("192.0.2.1").is_some());
        drop(first);
        assert!(permit("2001:db8::2").is_some());
        assert!(limit.open.lock().is_empty(), "a network without connections is forgotten");
    }
}
