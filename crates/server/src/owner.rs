//! The first account. Whoever starts a server needs a token to talk to it; it is kept in a file that only the owner of
//! the directory can read, and made anew when the database does not know it (any more).

use std::path::Path;

use anyhow::Context;
use control::{Control, Problem};
use secrecy::ExposeSecret;

use crate::directory::write_secret;

/// The file in the server's directory.
pub(crate) const TOKEN_FILE: &str = "owner.token";

/// What lists call the token.
const LABEL: &str = "owner of the server";

const WHAT: &str = "cannot make sure of the owner's account";

/// Makes sure that the account exists and that the file holds a valid token of it.
pub(crate) async fn ensure(control: &Control, name: &str, dir: &Path) -> anyhow::Result<()> {
    let account = match control.account_named(name).await.context(WHAT)? {
        Some(account) => account,
        None => control.create_account(name).await.context(WHAT)?,
    };
    let file = dir.join(TOKEN_FILE);
    if let Ok(token) = std::fs::read_to_string(&file) {
        match control.authenticate(token.trim()).await {
            Ok(caller) if caller.account == account.id => return Ok(()),
            // Another database than last time, or the token was revoked.
            Ok(_) | Err(Problem::Unauthenticated) => {}
            Err(problem) => return Err(problem).context(WHAT),
        }
    }
    let token = control.issue_token(account.id, LABEL).await.context(WHAT)?;
    write_secret(&file, token.secret.expose_secret().as_bytes())
}
