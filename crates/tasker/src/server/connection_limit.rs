//! The limit of connections from one address: a single client cannot use up the open files of the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts the open connections of each client address.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    most: u32,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// The right to one connection; dropping it gives the right back.
#[derive(Debug)]
pub struct ConnectionPermit {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl ConnectionLimit {
    /// At most `most` connections from one address. Loopback counts like any other address.
    pub fn new(most: NonZeroU32) -> Self {
        Self { most: most.get(), open: Arc::default() }
    }

    /// A permit for one more connection from `address`; `None` if it has as many as it may have.
    pub fn permit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { address, open: self.open.clone() })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_limit_and_gets_it_back() {
        let limit = ConnectionLimit::new(NonZeroU32::MIN);
        let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = limit.permit(one);
        assert!(first.is_some() && limit.permit(one).is_none() && limit.permit(other).is_some());
        drop(first);
        assert!(limit.permit(one).is_some());
        assert!(limit.open.lock().is_empty(), "an address without connections is forgotten");
    }
}
