//! Accounts and API tokens.

use keyring::token;
use model::{AccountId, TokenId};
use secrecy::SecretString;
use serde_json::json;
use store::{Constraint, StoreError};

use crate::audit::Entry;
use crate::caller::{Caller, Origin};
use crate::problem::Problem;
use crate::{Control, name};

pub use store::account::Account;

/// A token that was just made: the one time that its secret is known.
#[derive(Debug)]
pub struct IssuedToken {
    /// Its id.
    pub id: TokenId,
    /// Its beginning, by which lists show it.
    pub hint: String,
    /// The token itself.
    pub secret: SecretString,
}

impl Control {
    /// The account of a name.
    pub async fn account_named(&self, name: &str) -> Result<Option<Account>, Problem> {
        let mut tx = self.begin().await?;
        Ok(store::account::by_name(&mut tx, name).await?)
    }

    /// Makes an account.
    pub async fn create_account(&self, name: &str) -> Result<Account, Problem> {
        name::check("name", name)?;
        let now = self.now();
        let account = Account { id: AccountId(self.draw_id(now)), name: name.to_owned(), created_at: now };
        let mut tx = self.begin().await?;
        store::account::insert(&mut tx, &account).await.map_err(|error| match error {
            StoreError::Violates(Constraint::AccountName) => {
                Problem::NameTaken { what: "account", name: name.to_owned() }
            }
            other => other.into(),
        })?;
        self.audit_entry(&mut tx, &platform(&account), Entry::new("account.create", name)).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Makes a token for an account. `label` is what the audit trail will call whoever uses it.
    pub async fn issue_token(&self, account: AccountId, label: &str) -> Result<IssuedToken, Problem> {
        const MAX_LABEL: usize = 100;
        if label.is_empty() || label.len() > MAX_LABEL || label.chars().any(char::is_control) {
            return Err(Problem::invalid(
                "label",
                format!("a label has 1 to {MAX_LABEL} printable characters"),
            ));
        }
        let now = self.now();
        let made = token::generate(&mut rand::rng());
        let id = TokenId(self.draw_id(now));
        let mut tx = self.begin().await?;
        let owner = store::account::by_id(&mut tx, account)
            .await?
            .ok_or_else(|| Problem::not_found("account", account))?;
        let row = store::account::NewToken {
            id,
            account,
            label: label.to_owned(),
            hint: made.hint.clone(),
            hash: made.hash,
            created_at: now,
        };
        store::account::insert_token(&mut tx, &row).await?;
        let entry = Entry::new("token.issue", label).detail(json!({ "hint": made.hint }));
        self.audit_entry(&mut tx, &platform(&owner), entry).await?;
        tx.commit().await?;
        Ok(IssuedToken { id, hint: made.hint, secret: made.secret })
    }

    /// Whom a token speaks for.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        // Spares the database requests that cannot succeed.
        if !token.starts_with(token::PREFIX) {
            return Err(Problem::Unauthenticated);
        }
        let mut tx = self.begin().await?;
        let owner = store::account::token_owner(&mut tx, &token::hash(token)).await?;
        let owner = owner.ok_or(Problem::Unauthenticated)?;
        Ok(Caller {
            account: owner.account,
            account_name: owner.account_name,
            token: Some(owner.token),
            actor: owner.label,
            origin: Origin::default(),
        })
    }

    /// A caller for what the platform does by itself in an account, for instance on its first start.
    pub async fn caller_for(&self, account: AccountId, actor: &str) -> Result<Caller, Problem> {
        let mut tx = self.begin().await?;
        let account = store::account::by_id(&mut tx, account)
            .await?
            .ok_or_else(|| Problem::not_found("account", account))?;
        Ok(Caller { actor: actor.to_owned(), ..platform(&account) })
    }
}

fn platform(account: &Account) -> Caller {
    Caller {
        account: account.id,
        account_name: account.name.clone(),
        token: None,
        actor: "platform".to_owned(),
        origin: Origin::default(),
    }
}
