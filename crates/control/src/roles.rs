//! That Lambda may take on the role that a function is given.

use hearth_api::ApiError;
use hearth_identity::policy::{Document, Kind};
use hearth_types::identity::RoleRecord;
use hearth_types::keys;

use crate::permit::LAMBDA;
use crate::{Control, invalid};

/// Which roles a function may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Roles {
    /// Also ones that nobody made, of any account: where no signatures are asked for, nobody needs to make any.
    Any,
    /// Only those of the account that there are.
    Made,
}

impl Control {
    /// That Lambda may take a role on.
    ///
    /// # Errors
    /// For one whose trust policy does not name Lambda; under [`Roles::Made`] also for one that is not there, with the
    /// same text, and for one of another account.
    pub(crate) async fn assumable(&self, arn: &str) -> Result<(), ApiError> {
        let Some((account, path, name)) = parts(arn) else { return Err(not_assumable()) };
        let must_exist = self.parts.roles == Roles::Made;
        if account != &*self.parts.place.account {
            let foreign = || ApiError::access_denied(Some("Cross-account pass role is not allowed.".to_owned()));
            return if must_exist { Err(foreign()) } else { Ok(()) };
        }
        let role = self.read::<RoleRecord>(&keys::role(name)).await?.map(|loaded| loaded.record);
        match role.filter(|role| role.path == path) {
            Some(role) if !trusts_lambda(&role.trust) => Err(not_assumable()),
            None if must_exist => Err(not_assumable()),
            _ => Ok(()),
        }
    }
}

/// Account, path and name of a role's ARN: `/` and `r`, `/service-role/` and `r`.
fn parts(arn: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = arn.split_once(":iam::")?;
    let (account, role) = rest.split_once(":role")?;
    let (_, name) = role.rsplit_once('/')?;
    Some((account, role.strip_suffix(name)?, name))
}

fn trusts_lambda(trust: &str) -> bool {
    Document::parse(trust, Kind::Trust).is_ok_and(|document| document.trusts_service(LAMBDA))
}

/// Deploy tools wait for a new role by trying again on this text.
fn not_assumable() -> ApiError {
    invalid("The role defined for the function cannot be assumed by Lambda.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart() {
        assert_eq!(parts("arn:aws:iam::1:role/r"), Some(("1", "/", "r")));
        assert_eq!(parts("arn:aws:iam::1:role/service-role/a/r"), Some(("1", "/service-role/a/", "r")));
        assert_eq!(parts("arn:aws:iam::1:user/u"), None);
    }
}
