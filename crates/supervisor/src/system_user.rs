//! A user of this machine, by name or number.

use std::fs;
use std::io;

/// The numbers of a user and of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SystemUser {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl SystemUser {
    /// The user of this name or number in `/etc/passwd` (passwd(5)).
    pub(crate) fn find(name: &str) -> io::Result<Self> {
        let accounts = fs::read_to_string("/etc/passwd")?;
        Self::find_in(&accounts, name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no user {name}")))
    }

    fn find_in(accounts: &str, name: &str) -> Option<Self> {
        accounts.lines().find_map(|account| {
            let mut fields = account.split(':');
            let (account_name, number) = (fields.next()?, fields.nth(1)?);
            let is_wanted = account_name == name || number == name;
            is_wanted.then_some(Self { user: number.parse().ok()?, group: fields.next()?.parse().ok()? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        let nobody = SystemUser { user: 65534, group: 65533 };
        assert_eq!(SystemUser::find_in(accounts, "nobody"), Some(nobody));
        assert_eq!(SystemUser::find_in(accounts, "65534"), Some(nobody));
        assert_eq!(SystemUser::find_in(accounts, "nob"), None);
    }
}
