//! Reading documents. The texts are those of IAM's MalformedPolicyDocument.

use hearth_types::limits::{POLICY_DOCUMENT_BYTES, POLICY_STATEMENTS};
use serde_json::{Map, Value};

use super::pattern::Syntax;
use super::{ArnPattern, Condition, Document, Effect, Pattern, PrincipalPattern, Statement, Which};

/// How condition keys and variables of resources' tags begin, in lower case.
const RESOURCE_TAG: &str = "aws:resourcetag/";

/// What a document belongs to; it decides which elements it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A role or a user: without principals.
    Identity,
    /// A function, a bucket, ...: with principals and resources.
    Resource,
    /// A role, who may assume it: with principals, without resources.
    Trust,
}

/// A text is no policy document of its kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not one of this kind, with the text that IAM has for it.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        if text.len() > POLICY_DOCUMENT_BYTES {
            return Err(Malformed::new("Syntax errors in policy."));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|_| Malformed::new("This policy contains invalid Json"))?;
        let members = object(&value)?;
        only(members, &["Version", "Id", "Statement"])?;
        let has_variables = match members.get("Version") {
            None => false,
            Some(Value::String(version)) if version == "2008-10-17" => false,
            Some(Value::String(version)) if version == "2012-10-17" => true,
            Some(_) => return Err(Malformed::new("The policy must contain a valid version string")),
        };
        if members.get("Id").is_some_and(|id| !id.is_string()) {
            return Err(syntax());
        }
        let statements = match members.get("Statement").ok_or_else(syntax)? {
            Value::Array(statements) => statements.as_slice(),
            one => std::slice::from_ref(one),
        };
        if !(1..=POLICY_STATEMENTS).contains(&statements.len()) {
            return Err(syntax());
        }
        let mut sids = std::collections::HashSet::new();
        for sid in statements.iter().filter_map(|statement| statement.get("Sid")).filter_map(Value::as_str) {
            if !sid.is_empty() && !sids.insert(sid) {
                return Err(Malformed::new("Statement IDs (SID) in a single policy must be unique."));
            }
        }
        let parsed: Result<_, _> =
            statements.iter().map(|statement| Reader { kind, has_variables }.statement(statement)).collect();
        let names_resource_tags = text.to_ascii_lowercase().contains(RESOURCE_TAG);
        Ok(Self { statements: parsed?, names_resource_tags })
    }
}

#[derive(Clone, Copy)]
struct Reader {
    kind: Kind,
    has_variables: bool,
}

impl Reader {
    fn statement(self, value: &Value) -> Result<Statement, Malformed> {
        let members = object(value)?;
        let known = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        only(members, &known)?;
        if members.get("Sid").is_some_and(|sid| !sid.is_string()) {
            return Err(syntax());
        }
        let effect = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            Some(other) => return Err(Malformed::new(format!("Invalid effect: {other}"))),
            None => return Err(Malformed::new("Missing required field Effect")),
        };
        Ok(Statement {
            effect,
            principals: self.principals(members)?,
            actions: self.actions(members)?,
            resources: self.resources(members)?,
            conditions: match members.get("Condition") {
                None => Vec::new(),
                Some(conditions) => Condition::parse_all(object(conditions)?, self.has_variables)?,
            },
        })
    }

    fn principals(self, members: &Map<String, Value>) -> Result<Option<Which<PrincipalPattern>>, Malformed> {
        let found = which(members, "Principal", "NotPrincipal", PrincipalPattern::parse_all)?;
        match (self.kind, found) {
            (Kind::Identity, None) => Ok(None),
            (Kind::Identity, Some(_)) => Err(Malformed::new("Policy document should not specify a principal.")),
            (_, None) => Err(Malformed::new("Missing required field Principal")),
            (_, found) => Ok(found),
        }
    }

    fn actions(self, members: &Map<String, Value>) -> Result<Which<Pattern>, Malformed> {
        let syntax = Syntax { wildcards: true, variables: false, folds: true };
        let action = |text: String| {
            let has_service = text == "*"
                || text.split_once(':').is_some_and(|(service, name)| {
                    !service.is_empty() && !name.is_empty() && !service.contains(['*', '?'])
                });
            if !has_service {
                let text = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
                return Err(Malformed::new(text));
            }
            Pattern::parse(&text, syntax).map_err(|_| self::syntax())
        };
        let read = |value: &Value| strings(value, "Action")?.into_iter().map(action).collect();
        which(members, "Action", "NotAction", read)?
            .ok_or_else(|| Malformed::new("Policy statement must contain actions."))
    }

    fn resources(self, members: &Map<String, Value>) -> Result<Option<Which<ArnPattern>>, Malformed> {
        let resource = |text: String| {
            if text != "*" && !text.starts_with("arn:") {
                return Err(Malformed::new(format!("Resource {text} must be in ARN format or \"*\".")));
            }
            ArnPattern::parse(&text, self.has_variables).map_err(|_| syntax())
        };
        let read = |value: &Value| strings(value, "Resource")?.into_iter().map(resource).collect();
        match (self.kind, which(members, "Resource", "NotResource", read)?) {
            (Kind::Trust, None) => Ok(None),
            (Kind::Trust, Some(_)) => Err(Malformed::new("Has prohibited field Resource")),
            (_, None) => Err(Malformed::new("Policy statement must contain resources.")),
            (_, found) => Ok(found),
        }
    }
}

/// One of two elements that exclude each other.
fn which<T>(
    members: &Map<String, Value>,
    these: &str,
    all_but: &str,
    read: impl Fn(&Value) -> Result<Vec<T>, Malformed>,
) -> Result<Option<Which<T>>, Malformed> {
    match (members.get(these), members.get(all_but)) {
        (None, None) => Ok(None),
        (Some(value), None) => read(value).map(|found| Some(Which::These(found))),
        (None, Some(value)) => read(value).map(|found| Some(Which::AllBut(found))),
        (Some(_), Some(_)) => Err(syntax()),
    }
}

/// One text, or a list of them that is not empty.
pub(super) fn strings(value: &Value, element: &str) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(syntax);
    match value {
        Value::Array(values) if values.is_empty() => {
            Err(Malformed::new(format!("The {element} element must not be empty.")))
        }
        Value::Array(values) => values.iter().map(text).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(syntax)
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    if members.keys().all(|name| known.contains(&&**name)) { Ok(()) } else { Err(syntax()) }
}

pub(super) fn syntax() -> Malformed {
    Malformed::new("Syntax errors in policy.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, kind: Kind) -> String {
        Document::parse(text, kind).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let identity = |statement: &str| error(&format!(r#"{{"Statement":[{statement}]}}"#), Kind::Identity);
        assert_eq!(error("{", Kind::Identity), "This policy contains invalid Json");
        assert_eq!(error("[]", Kind::Identity), "Syntax errors in policy.");
        assert_eq!(error(r#"{"Statement":[]}"#, Kind::Identity), "Syntax errors in policy.");
        assert_eq!(
            error(r#"{"Version":"2011-01-01","Statement":[]}"#, Kind::Identity),
            "The policy must contain a valid version string"
        );
        assert_eq!(identity(r#"{"Action":"*","Resource":"*"}"#), "Missing required field Effect");
        assert_eq!(identity(r#"{"Effect":"allow","Action":"*","Resource":"*"}"#), "Invalid effect: allow");
        assert_eq!(identity(r#"{"Effect":"Allow","Resource":"*"}"#), "Policy statement must contain actions.");
        assert_eq!(identity(r#"{"Effect":"Allow","Action":"*"}"#), "Policy statement must contain resources.");
        assert_eq!(
            identity(r#"{"Effect":"Allow","Action":"ListFunctions","Resource":"*"}"#),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
        );
        assert_eq!(
            identity(r#"{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}"#),
            "Resource bucket must be in ARN format or \"*\"."
        );
        assert_eq!(
            identity(r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#),
            "Policy document should not specify a principal."
        );
        for statement in [
            r#"{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":1,"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Extra":1}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":[]}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Sid":1}"#,
        ] {
            assert_eq!(identity(statement), "Syntax errors in policy.", "{statement}");
        }
        assert_eq!(
            identity(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Smells":{"a":"b"}}}"#),
            "Invalid Condition type : Smells"
        );
        assert_eq!(
            error(r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}"#, Kind::Trust),
            "Missing required field Principal"
        );
        let trust = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}}"#;
        assert_eq!(error(trust, Kind::Trust), "Has prohibited field Resource");
        let twice = r#"{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}"#;
        let text = format!(r#"{{"Statement":[{twice},{twice}]}}"#);
        assert_eq!(error(&text, Kind::Identity), "Statement IDs (SID) in a single policy must be unique.");
        assert!(Document::parse(&" ".repeat(POLICY_DOCUMENT_BYTES + 1), Kind::Identity).is_err());
    }

    #[test]
    fn principals_are_of_known_kinds() {
        let of = |principal: &str| {
            let text =
                format!(r#"{{"Statement":{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}}}}}"#);
            Document::parse(&text, Kind::Trust).map(|_| ()).map_err(|error| error.to_string())
        };
        for good in [
            r#""*""#,
            r#"{"AWS":"*"}"#,
            r#"{"AWS":["000000000000","arn:aws:iam::000000000000:role/r"]}"#,
            r#"{"Service":"lambda.amazonaws.com"}"#,
            r#"{"Federated":"cognito-identity.amazonaws.com","Service":["a.b"]}"#,
        ] {
            assert_eq!(of(good), Ok(()), "{good}");
        }
        assert_eq!(of(r#"{"AWS":"somebody"}"#).unwrap_err(), r#"Invalid principal in policy: "AWS":"somebody""#);
        for bad in [
            r#""x""#,
            "{}",
            r#"{"Service":"lambda"}"#,
            r#"{"Friend":"f"}"#,
            r#"{"AWS":"arn:aws:s3:::b"}"#,
            r#"{"AWS":[]}"#,
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
