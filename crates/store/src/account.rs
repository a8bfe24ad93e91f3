//! Accounts and their API tokens.

use model::{AccountId, Timestamp, TokenId};

use crate::{StoreError, Tx};

/// Who owns things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, unique on the platform.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A token as it is stored: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is for, in its owner's words.
    pub label: String,
    /// Its beginning, for lists.
    pub hint: String,
    /// The hash of its secret.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    /// The token.
    pub token: TokenId,
    /// Its label.
    pub label: String,
    /// Its account.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
}

/// Stores a new account. [`Constraint::AccountName`](crate::Constraint::AccountName) if the name is taken.
pub async fn insert(tx: &mut Tx, account: &Account) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into accounts (id, name, created_at_ms) values ($1, $2, $3)",
        account.id.0,
        account.name,
        account.created_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The account of a name.
pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query!("select id, name, created_at_ms from accounts where name = $1", name)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| Account {
        id: AccountId(row.id),
        name: row.name,
        created_at: Timestamp(row.created_at_ms),
    }))
}

/// The account of an id.
pub async fn by_id(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query!("select id, name, created_at_ms from accounts where id = $1", id.0)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| Account {
        id: AccountId(row.id),
        name: row.name,
        created_at: Timestamp(row.created_at_ms),
    }))
}

/// Stores a new token.
pub async fn insert_token(tx: &mut Tx, token: &NewToken) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into tokens (id, account_id, label, hint, hash, created_at_ms) values ($1, $2, $3, $4, $5, $6)",
        token.id.0,
        token.account.0,
        token.label,
        token.hint,
        &token.hash[..],
        token.created_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whom the token with this hash speaks for; none if there is no such token or it was revoked.
pub async fn token_owner(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<TokenOwner>, StoreError> {
    let row = sqlx::query!(
        "select tokens.id, tokens.label, tokens.account_id, accounts.name
         from tokens join accounts on accounts.id = tokens.account_id
         where tokens.hash = $1 and tokens.revoked_at_ms is null",
        &hash[..]
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| TokenOwner {
        token: TokenId(row.id),
        label: row.label,
        account: AccountId(row.account_id),
        account_name: row.name,
    }))
}
