//! `tasker user`, `tasker invite`: what an administrator does with the accounts of others.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use client::{Accounts, Change, Invitation, NewPassword, User, UserList};

use crate::commands::account::login::read_password;
use crate::commands::target::Server;
use crate::config::Environment;
use crate::terminal;

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes an account; without --password-stdin its password is made, and shown once
    Add {
        /// Its name
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = Role::User)]
        role: Role,
        /// Read its password from standard input, to its end or to the first new line
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
    /// Gives an account another role
    Role {
        /// Its name
        name: String,
        /// What it may do
        #[arg(value_enum)]
        role: Role,
        #[command(flatten)]
        server: Server,
    },
    /// Takes an account out of use: it cannot sign in, and what it is signed in to ends
    Disable(Named),
    /// Takes an account into use again
    Enable(Named),
    /// Gives an account a new password, shown once, and ends what it is signed in to
    Reset(Named),
}

/// An account.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name
    name: String,
    #[command(flatten)]
    server: Server,
}

/// Makes a link by which somebody makes an account.
#[derive(Debug, Args)]
pub struct Invite {
    /// What the account may do
    #[arg(long, value_enum, default_value_t = Role::User)]
    role: Role,
    #[command(flatten)]
    server: Server,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Its own tasks.
    User,
    /// The service API, for workers.
    Worker,
    /// Everything, and the accounts of others.
    Admin,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Worker => "Worker",
            Self::Admin => "Admin",
        }
    }
}

impl Command {
    /// Asks Identity, and prints.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        match self {
            Self::Add { name, role, password_stdin, server } => {
                let password = password_stdin.then(read_password).transpose()?;
                let accounts = server.accounts(environment).await?;
                given(&server, &accounts.add(&name, role.as_str(), password.as_ref()).await?)?;
            }
            Self::List { server } => list(&server, &server.accounts(environment).await?).await?,
            Self::Role { name, role, server } => {
                let change = Change { role: Some(role.as_str()), ..Change::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::note(&format!("{name} has the role {}", role.as_str()));
            }
            Self::Disable(Named { name, server }) => {
                let change = Change { disabled: Some(true), ..Change::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::note(&format!("{name} is out of use; a token that it has counts until it ends"));
            }
            Self::Enable(Named { name, server }) => {
                let change = Change { disabled: Some(false), ..Change::default() };
                server.accounts(environment).await?.change(&name, change).await?;
                terminal::note(&format!("{name} is in use"));
            }
            Self::Reset(Named { name, server }) => {
                given(&server, &server.accounts(environment).await?.reset(&name).await?)?;
            }
        }
        Ok(())
    }
}

impl Invite {
    /// Asks Identity, and prints.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let invitation = self.server.accounts(environment).await?.invite(self.role.as_str()).await?;
        let link = |invitation: &Invitation| invitation.link.clone();
        self.server.output.print(&invitation, link, |invitation| vec![link(invitation)])?;
        Ok(())
    }
}

impl Server {
    /// The accounts, as whoever the commands act for sees them.
    async fn accounts(&self, environment: &Environment) -> Result<Accounts> {
        let found = self.identified(environment, None).await?;
        Ok(Accounts::of(found.identity, found.token))
    }
}

/// What was made is shown this once.
fn given(server: &Server, given: &NewPassword) -> Result<()> {
    let table = |NewPassword { name, password }: &NewPassword| match password {
        Some(password) => format!("name      {name}\npassword  {password}"),
        None => format!("name      {name}"),
    };
    server.output.print(given, table, |given| vec![given.name.clone()])?;
    if given.password.is_some() {
        terminal::note("nobody will see this password again");
    }
    Ok(())
}

/// Every page.
async fn list(server: &Server, accounts: &Accounts) -> Result<()> {
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
        let use_ = if *disabled { "out of use" } else { "" };
        format!("{:<width$}  {role:<6}  {origin:<10}  {use_}", terminal::plain(name)).trim_end().to_owned()
    };
    users.iter().map(line).collect::<Vec<_>>().join("\n")
}
