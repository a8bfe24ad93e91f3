//! Who is signed in: a JWT in a cookie that no script and no other site can read. Nothing is stored; a session ends by
//! its time, or when the key changes.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use control::{Caller, Problem};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use keyring::seal::MasterKey;
use model::{AccountId, Timestamp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::Console;
use crate::failure::Failure;
use crate::live::Wanted;

/// `__Host-` makes browsers insist on Secure, on the path `/` and on no Domain.
const COOKIE: &str = "__Host-penstock-session";

/// A working day. Longer would keep revoked tokens signed in for longer; shorter asks people twice a day.
const LASTS: Duration = Duration::from_secs(12 * 3_600);

/// Nobody else's token is ours, even with the same key.
const AUDIENCE: &str = "penstock-console";

/// Makes and checks sessions.
pub(crate) struct Sessions {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

/// What the cookie says.
#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// The account.
    sub: AccountId,
    /// What the audit trail calls its person: the label of the token that was used to sign in.
    actor: String,
    /// When it ends, in seconds since the Unix epoch.
    exp: i64,
}

impl Sessions {
    pub(crate) fn signed_with(key: &MasterKey) -> Sessions {
        let secret = key.derive("console sessions");
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["aud", "exp"]);
        // The library would ask the system's clock; `verify` asks ours.
        rules.validate_exp = false;
        Sessions {
            sign: EncodingKey::from_secret(secret.expose_secret()),
            check: DecodingKey::from_secret(secret.expose_secret()),
            rules,
        }
    }

    /// The value of a `Set-Cookie` header that signs somebody in.
    pub(crate) fn begin(&self, caller: &Caller, now: Timestamp) -> Result<String, Failure> {
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            sub: caller.account,
            actor: caller.actor.clone(),
            exp: now.plus(LASTS).0 / 1_000,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map_err(|error| Failure::internal(format!("cannot sign a session: {error}")))?;
        Ok(cookie(&token, LASTS))
    }

    /// Whom a cookie header names, if its session is ours and not over.
    fn verify(&self, cookies: &str, now: Timestamp) -> Option<Claims> {
        let token = cookies.split(';').find_map(|one| one.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules).ok()?.claims;
        (claims.exp > now.0 / 1_000).then_some(claims)
    }
}

/// The value of a `Set-Cookie` header that signs somebody out.
pub(crate) fn end() -> String {
    cookie("", Duration::ZERO)
}

fn cookie(value: &str, lasts: Duration) -> String {
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={}", lasts.as_secs())
}

/// Somebody who is signed in. As an argument of a handler it sends everybody else to the sign-in page.
pub(crate) struct SignedIn(pub Caller);

impl FromRequestParts<Console> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<SignedIn, Failure> {
        let cookies = parts.headers.get_all(header::COOKIE);
        let claims = cookies
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(|value| console.sessions.verify(value, (console.now)()));
        let Some(claims) = claims else {
            let Ok(wanted) = Wanted::from_request_parts(parts, console).await;
            let return_to = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            return Err(Failure::SignedOut { return_to, wanted });
        };
        match console.control.caller_for(claims.sub, &claims.actor).await {
            Ok(caller) => Ok(SignedIn(caller)),
            Err(Problem::NotFound { .. }) => {
                Err(Failure::SignedOut { return_to: "/".to_owned(), wanted: Wanted::Page })
            }
            Err(problem) => Err(Failure::Problem(problem)),
        }
    }
}

impl OptionalFromRequestParts<Console> for SignedIn {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Option<SignedIn>, Infallible> {
        Ok(<SignedIn as FromRequestParts<Console>>::from_request_parts(parts, console).await.ok())
    }
}

#[cfg(test)]
mod tests {
    use control::Origin;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_500_563_000);

    fn caller() -> Caller {
        Caller {
            account: "018f0000-0000-7000-8000-000000000001".parse().expect("an id"),
            account_name: "acme".to_owned(),
            token: None,
            actor: "laptop".to_owned(),
            origin: Origin::default(),
        }
    }

    #[test]
    fn a_session_names_its_account_until_its_time_is_over() {
        let sessions = Sessions::signed_with(&MasterKey::from_bytes([7; 32]));
        let set = sessions.begin(&caller(), NOW).expect("a session");
        let cookies = format!("theme=dark; {}", set.split(';').next().expect("a value"));
        assert_eq!(sessions.verify(&cookies, NOW).map(|claims| claims.sub), Some(caller().account));
        assert!(sessions.verify(&cookies, NOW.plus(LASTS)).is_none());
    }

    #[test]
    fn a_session_of_another_key_or_a_changed_one_counts_for_nothing() {
        let sessions = Sessions::signed_with(&MasterKey::from_bytes([7; 32]));
        let other = Sessions::signed_with(&MasterKey::from_bytes([8; 32]));
        let set = other.begin(&caller(), NOW).expect("a session");
        let cookies = set.split(';').next().expect("a value");
        assert!(other.verify(cookies, NOW).is_some());
        assert!(sessions.verify(cookies, NOW).is_none());
        let (head, signature) = cookies.rsplit_once('.').expect("three parts");
        assert!(other.verify(&format!("{head}A.{signature}"), NOW).is_none());
        assert!(sessions.verify("", NOW).is_none());
    }

    #[test]
    fn the_cookie_is_for_this_host_over_https_and_not_for_scripts() {
        for part in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=0"] {
            assert!(end().contains(part), "{part}");
        }
    }
}
