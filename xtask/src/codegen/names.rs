//! Names of the model as Rust spells them.

/// `KMSKeyArn` -> `kms_key_arn`, `S3Bucket` -> `s3_bucket`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_low = i > 0 && !chars[i - 1].is_ascii_uppercase();
        let before_low = i > 0 && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_low || before_low) && !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// As [`snake`], for a field: keywords are escaped.
pub(crate) fn field(name: &str) -> String {
    match snake(name).as_str() {
        keyword @ ("type" | "match" | "ref" | "use" | "where" | "in" | "for") => format!("r#{keyword}"),
        other => other.to_owned(),
    }
}

/// `KMSKeyArn` -> `KMS_KEY_ARN`.
pub(crate) fn screaming(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// `statusType` -> `StatusType`: a shape as a Rust type.
pub(crate) fn type_name(shape: &str) -> String {
    let (first, rest) = shape.split_at(1.min(shape.len()));
    first.to_ascii_uppercase() + rest
}

/// `AWS_IAM` -> `AwsIam`, `python3.12` -> `Python3_12`, `PassThrough` as it is.
pub(crate) fn variant(value: &str) -> String {
    let mut out = String::new();
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        let shouted = word.len() > 1 && !word.contains(|c: char| c.is_ascii_lowercase());
        let word = if shouted { word.to_ascii_lowercase() } else { word.to_owned() };
        let digits_meet = out.ends_with(|c: char| c.is_ascii_digit()) && word.starts_with(|c: char| c.is_ascii_digit());
        if digits_meet {
            out.push('_');
        }
        let (first, rest) = word.split_at(1);
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    out
}

/// `SnapStart` -> `snapStart`, `KMSKeyArn` -> `kMSKeyArn`: what validation messages call a member.
pub(crate) fn printed(name: &str) -> String {
    let (first, rest) = name.split_at(1.min(name.len()));
    first.to_ascii_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_names() {
        assert_eq!(snake("KMSKeyArn"), "kms_key_arn");
        assert_eq!(snake("S3Bucket"), "s3_bucket");
        assert_eq!(snake("DocumentDBEventSourceConfig"), "document_db_event_source_config");
        assert_eq!(snake("CodeSha256"), "code_sha256");
        assert_eq!(snake("UUID"), "uuid");
        assert_eq!(field("Type"), "r#type");
        assert_eq!(variant("AWS_IAM"), "AwsIam");
        assert_eq!(variant("python3.12"), "Python3_12");
        assert_eq!(variant("nodejs4.3-edge"), "Nodejs4_3Edge");
        assert_eq!(variant("FunctionError.InitTimeout"), "FunctionErrorInitTimeout");
        assert_eq!(printed("KMSKeyArn"), "kMSKeyArn");
        assert_eq!(type_name("statusType"), "StatusType");
    }
}
