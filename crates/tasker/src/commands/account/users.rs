//! `tasker user` and `tasker invite`: the accounts of others, for administrators.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use client::{AccountChange, AccountsClient, Invitation, NewPassword, User, UserList};

use crate::commands::account::login::read_password;
use crate::commands::confirmation::is_confirmed;
use crate::commands::connection_target::Server;
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::terminal;

/// The subcommands of `tasker user`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Creates an account; without --password-stdin a password is generated and shown once
    Add {
        /// The account's name
        name: String,
        /// The role of the account
        #[arg(long, value_enum, default_value_t = Role::User)]
        role: Role,
        /// Read the password from standard input, up to its end or the first newline
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Lists the accounts
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Changes the role of an account
    Role {
        /// The account's name
        name: String,
        /// The new role
        #[arg(value_enum)]
        role: Role,
        #[command(flatten)]
        server: Server,
    },
    /// Disables an account: it cannot sign in, and its browser sessions end
    Disable(Named),
    /// Enables a disabled account
    Enable(Named),
    /// Generates a new password for an account, shows it once, and ends the account's browser sessions
    Reset(Named),
    /// Forgets the failed sign-ins of an account, so that the next one is not held back
    Unlock(Unlock),
    /// Deletes an account: its sessions and tokens end, and another account may get its name, but not its tasks
    Delete(Delete),
}

/// Options of `tasker user delete`.
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Options of `tasker user unlock`.
#[derive(Debug, Args)]
pub struct Unlock {
    #[command(flatten)]
    named: Named,
    /// Write to the database of accounts that the settings name, instead of asking Identity as an administrator
    #[arg(long)]
    on_server: bool,
    #[command(flatten)]
    sources: Sources,
}

/// Options of a command about one account.
#[derive(Debug, Args)]
pub struct Named {
    /// The account's name
    name: String,
    #[command(flatten)]
    server: Server,
}

/// Options of `tasker invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// The role of the account that is registered with the link
    #[arg(long, value_enum, default_value_t = Role::User)]
    role: Role,
    #[command(flatten)]
    server: Server,
}

/// The role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// May submit tasks and see its own.
    User,
    /// May use the API of workers.
    Worker,
    /// May use everything, and manage the accounts of others.
    Admin,
}

impl Role {
    /// The name of the role in Identity's API.
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Worker => "Worker",
            Self::Admin => "Admin",
        }
    }
}

impl Command {
    /// Sends the request to Identity and prints the answer.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        match self {
            Self::Add { name, role, password_stdin, server } => {
                let password = password_stdin.then(read_password).transpose()?;
                let accounts = server.accounts(environment).await?;
                print_password(&server, &accounts.add(&name, role.as_str(), password.as_ref()).await?)?;
            }
            Self::List { server } => list(&server, &server.accounts(environment).await?).await?,
            Self::Role { name, role, server } => {
                let change = AccountChange { role: Some(role.as_str()), ..AccountChange::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::print_note(&format!("{name} has the role {}", role.as_str()));
            }
            Self::Disable(Named { name, server }) => {
                let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::print_note(&format!(
                    "{name} is disabled; a Backend may accept its tokens for another minute"
                ));
            }
            Self::Enable(Named { name, server }) => {
                let change = AccountChange { disabled: Some(false), ..AccountChange::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::print_note(&format!("{name} is enabled"));
            }
            Self::Reset(Named { name, server }) => {
                print_password(&server, &server.accounts(environment).await?.reset_password(&name).await?)?;
            }
            Self::Unlock(unlock) => unlock.run(environment).await?,
            Self::Delete(delete) => delete.run(environment).await?,
        }
        Ok(())
    }
}

impl Unlock {
    async fn run(self, environment: &Environment) -> Result<()> {
        let Self { named: Named { name, server }, on_server, sources } = self;
        if on_server {
            let db = sources.load(Layers::default(), environment)?.open_accounts()?;
            let is_unlocked = identity::unlock(&db, &name).await?;
            db.close().await;
            anyhow::ensure!(is_unlocked, "there is no account {name} in the database of accounts");
        } else {
            server.accounts(environment).await?.unlock(&name).await?;
        }
        terminal::print_note(&format!("{name} is unlocked"));
        Ok(())
    }
}

impl Delete {
    async fn run(self, environment: &Environment) -> Result<()> {
        let Self { named: Named { name, server }, yes } = self;
        if !yes && !is_confirmed(&format!("Delete the account {name}? It cannot be restored. [y/N] "))? {
            terminal::print_note("nothing was deleted");
            return Ok(());
        }
        server.accounts(environment).await?.delete(&name).await?;
        terminal::print_note(&format!(
            "{name} is deleted; a Backend may accept its tokens for another minute"
        ));
        Ok(())
    }
}

impl Invite {
    /// Requests an invitation from Identity and prints its link.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let invitation = self.server.accounts(environment).await?.invite(self.role.as_str()).await?;
        let link = |invitation: &Invitation| invitation.link.clone();
        self.server.output.print(&invitation, link, |invitation| vec![link(invitation)])?;
        Ok(())
    }
}

impl Server {
    /// A client of Identity's API of accounts.
    async fn accounts(&self, environment: &Environment) -> Result<AccountsClient> {
        let owner = self.token_owner(environment, None).await?;
        Ok(AccountsClient::new(owner.identity, owner.token))
    }
}

/// Prints an account's name, and its generated password if there is one.
fn print_password(server: &Server, account: &NewPassword) -> Result<()> {
    let table = |NewPassword { name, password }: &NewPassword| match password {
        Some(password) => format!("name      {name}\npassword  {password}"),
        None => format!("name      {name}"),
    };
    server.output.print(account, table, |account| vec![account.name.clone()])?;
    if account.password.is_some() {
        terminal::print_note("this password cannot be shown again");
    }
    Ok(())
}

/// Requests every page of accounts and prints them.
async fn list(server: &Server, accounts: &AccountsClient) -> Result<()> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let page = accounts.list(users.last().map(|user| user.name.as_str())).await?.users;
        if page.is_empty() {
            break;
        }
        users.extend(page);
    }
    let ids = |list: &UserList| list.users.iter().map(|user| user.name.clone()).collect();
    server.output.print(&UserList { users }, table, ids)?;
    Ok(())
}

fn table(UserList { users }: &UserList) -> String {
    let width = users.iter().map(|user| user.name.len()).max().unwrap_or(0);
    let line = |User { name, role, origin, disabled, .. }: &User| {
        let state = if *disabled { "disabled" } else { "" };
        let name = terminal::escape_line(name);
        format!("{name:<width$}  {role:<6}  {origin:<10}  {state}").trim_end().to_owned()
    };
    users.iter().map(line).collect::<Vec<_>>().join("\n")
}
