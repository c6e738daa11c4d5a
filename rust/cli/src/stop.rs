//! Ways in which a command ends early, with their exit codes.

use netrender_client::ClientError;
use netrender_net::api::ApiError;

/// Reason why a command ends without having done what was asked.
pub enum Stop {
    /// The request failed: exit code 1.
    Failed(String),
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// No master was reached: exit code 3.
    NoMaster(String),
    /// Everything is printed already; only the exit code remains.
    Said(i32),
}

impl Stop {
    /// Exit code, stable word for programs and message.
    pub fn parts(&self) -> (i32, &'static str, &str) {
        match self {
            Self::Failed(message) => (1, "failed", message),
            Self::Usage(message) => (2, "usage", message),
            Self::NoMaster(message) => (3, "no_master", message),
            Self::Said(exit_code) => (*exit_code, "", ""),
        }
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_no_master() => Self::NoMaster(message),
            ClientError::Usage(_) | ClientError::Incomplete(_) => Self::Usage(message),
            _ => Self::Failed(message),
        }
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        ClientError::from(error).into()
    }
}
