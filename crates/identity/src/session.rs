//! Temporary credentials of a role, made without writing anything down: the token carries, sealed, whose they are and
//! until when; the secret follows from the access key id.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::ids::{ID_BYTES, IdKind, new_id};
use crate::seal::{MasterKey, NONCE_BYTES, Purpose};
use crate::sigv4::{Timestamp, hmac};
use crate::{Credentials, Secret};

/// Random bytes that making credentials uses up.
pub const SESSION_RANDOM_BYTES: usize = ID_BYTES + NONCE_BYTES;

/// Characters of a secret access key.
const SECRET_CHARS: usize = 40;

/// A session of a role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    #[serde(rename = "r")]
    pub role_arn: String,
    /// The role's id at that time; none where the server has no such role.
    #[serde(rename = "i")]
    pub role_id: Option<String>,
    /// RoleSessionName; of a function's environment the function's name.
    #[serde(rename = "n")]
    pub name: String,
    /// Seconds since 1970.
    #[serde(rename = "e")]
    pub expires_s: i64,
    /// A policy that the session is cut down to.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The ARN of the function whose environment has it; none of a role that somebody assumed.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub function_arn: Option<String>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoSession {
    /// It is not one of this server's, or belongs to another access key.
    #[error("the session token is not one of this server's")]
    Unknown,
    /// Its time is over.
    #[error("the session is over")]
    Expired,
}

/// Makes and reads credentials of sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: MasterKey,
}

impl Sessions {
    /// With the server's key.
    #[must_use]
    pub fn new(key: MasterKey) -> Self {
        Self { key }
    }

    /// Credentials of a session, from bytes that nobody can guess.
    #[must_use]
    pub fn issue(&self, session: &Session, random: [u8; SESSION_RANDOM_BYTES]) -> Credentials {
        let (mut id, mut nonce) = ([0; ID_BYTES], [0; NONCE_BYTES]);
        id.copy_from_slice(&random[..ID_BYTES]);
        nonce.copy_from_slice(&random[ID_BYTES..]);
        let access_key_id = new_id(IdKind::SessionKey, id);
        // Texts and a number: writing them cannot fail.
        let text = serde_json::to_vec(session).unwrap_or_default();
        let token = self.key.seal_text(Purpose::SessionToken, &text, access_key_id.as_bytes(), nonce);
        Credentials { secret: self.secret(&access_key_id), access_key_id, session_token: Some(token) }
    }

    /// The session that a token is of, and its secret access key.
    ///
    /// # Errors
    /// See [`NoSession`].
    pub fn open(&self, access_key_id: &str, token: &str, now: Timestamp) -> Result<(Session, Secret), NoSession> {
        let text = self.key.open_text(Purpose::SessionToken, token, access_key_id.as_bytes());
        let session: Session = text.and_then(|text| serde_json::from_slice(&text).ok()).ok_or(NoSession::Unknown)?;
        if session.expires_s <= now.seconds() {
            return Err(NoSession::Expired);
        }
        Ok((session, self.secret(access_key_id)))
    }

    fn secret(&self, access_key_id: &str) -> Secret {
        let bytes = hmac(&self.key.derive(b"hearth session secret"), access_key_id.as_bytes());
        let mut text = STANDARD.encode(bytes);
        text.truncate(SECRET_CHARS);
        Secret::new(text)
    }
}

impl Session {
    /// Whether the role had no record when the session was made, and nothing else cuts it down.
    #[must_use]
    pub fn is_of_no_record(&self) -> bool {
        self.role_id.is_none() && self.policy.is_none()
    }

    /// The role's bare name.
    #[must_use]
    pub fn role_name(&self) -> &str {
        self.role_arn.rsplit('/').next().unwrap_or_default()
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    #[must_use]
    pub fn arn(&self) -> String {
        let account = self.account();
        format!("arn:aws:sts::{account}:assumed-role/{}/{}", self.role_name(), self.name)
    }

    /// The account of the role's ARN.
    #[must_use]
    pub fn account(&self) -> &str {
        self.role_arn.split(':').nth(4).unwrap_or_default()
    }

    /// UserId, and AssumedRoleId: the role's id and the session's name. A role that the server does not have gets an id
    /// that follows from its ARN.
    #[must_use]
    pub fn user_id(&self) -> String {
        format!("{}:{}", self.role_id.clone().unwrap_or_else(|| stand_in_id(&self.role_arn)), self.name)
    }

    /// How long it is still good.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::from_secs(u64::try_from(self.expires_s - now.seconds()).unwrap_or_default())
    }
}

fn stand_in_id(role_arn: &str) -> String {
    let mut random = [0; ID_BYTES];
    random.copy_from_slice(&hmac(b"hearth role without a record", role_arn.as_bytes())[..ID_BYTES]);
    new_id(IdKind::Role, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::since_1970(Duration::from_secs(seconds))
    }

    fn session() -> Session {
        Session {
            role_arn: "arn:aws:iam::000000000000:role/team/r".to_owned(),
            role_id: Some("AROA".to_owned()),
            name: "f".to_owned(),
            expires_s: 1000,
            policy: None,
            function_arn: None,
        }
    }

    #[test]
    fn a_token_carries_its_session_until_its_end() {
        let sessions = Sessions::new(MasterKey::new([1; 32]));
        let made = sessions.issue(&session(), [9; SESSION_RANDOM_BYTES]);
        let token = made.session_token.unwrap();
        assert!(made.access_key_id.starts_with("ASIA") && made.secret.reveal().len() == SECRET_CHARS);
        assert!(!token.contains("role"));
        assert_eq!(sessions.open(&made.access_key_id, &token, at(999)), Ok((session(), made.secret)));
        assert_eq!(sessions.open(&made.access_key_id, &token, at(1000)), Err(NoSession::Expired));
        assert_eq!(sessions.open("ASIAOTHER", &token, at(0)), Err(NoSession::Unknown));
        assert_eq!(sessions.open(&made.access_key_id, &format!("{token}x"), at(0)), Err(NoSession::Unknown));
        let others = Sessions::new(MasterKey::new([2; 32]));
        assert_eq!(others.open(&made.access_key_id, &token, at(0)), Err(NoSession::Unknown));
    }

    #[test]
    fn a_session_is_named_by_role_and_name() {
        assert_eq!(session().arn(), "arn:aws:sts::000000000000:assumed-role/r/f");
        assert_eq!(session().user_id(), "AROA:f");
        let mut unknown = session();
        unknown.role_id = None;
        assert_eq!(unknown.user_id(), unknown.user_id());
        assert!(unknown.user_id().starts_with("AROA") && unknown.user_id().len() == 23);
    }
}
