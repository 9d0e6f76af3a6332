//! Why a request is not let in, as an error of the API.

use hearth_api::ApiError;
use hearth_api::error::{Kind, Spelling};
use hearth_identity::sigv4::{Dialect, SignatureError};
use hearth_store::typed::Fault;
use tracing::error;

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// Its signature is not accepted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The records that it would be held against cannot be read.
    #[error(transparent)]
    Failed(#[from] Fault),
}

impl NotAdmitted {
    /// The error as services of this kind have it.
    #[must_use]
    pub fn error(&self, dialect: Dialect) -> ApiError {
        match self {
            Self::Signature(cause) => {
                let (code, status) = (cause.code(dialect), cause.status(dialect));
                ApiError::new(&Kind { code, status, spelling: Spelling::Lower, fault: None }, cause.message(dialect))
            }
            Self::Failed(cause) => {
                error!("whoever asks cannot be found out: {cause}");
                ApiError::service("The records of access keys and roles cannot be read.")
            }
        }
    }
}
