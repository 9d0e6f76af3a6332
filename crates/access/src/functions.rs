//! Who a function is where the platform does something in its name.

use hearth_identity::Caller;
use hearth_identity::policy::Context;
use hearth_identity::session::Session;

use crate::access::Access;
use crate::refusal::NotAdmitted;

impl Access {
    /// What a role may do, as if the function that it is of did it.
    ///
    /// # Errors
    /// When the store cannot be read, or what is in it.
    pub async fn of_function(&self, role_arn: &str, function: &str) -> Result<Caller, NotAdmitted> {
        let session = Session {
            role_arn: role_arn.to_owned(),
            role_id: self.role_id(role_arn).await?,
            name: function.to_owned(),
            expires_s: i64::MAX,
            policy: None,
            function_arn: Some(self.place().arn(function).to_string()),
        };
        self.of_session(&session, Context::default()).await
    }
}
