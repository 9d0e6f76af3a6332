//! The managed policies of AWS that functions' roles commonly have: facts of the service, by name.

/// The ARNs of all of them begin so.
pub const ARN_PREFIX: &str = "arn:aws:iam::aws:policy/";

/// One managed policy of AWS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ManagedPolicy {
    /// `/` or `/service-role/`.
    pub path: &'static str,
    /// PolicyName.
    pub name: &'static str,
    /// The document in force.
    pub document: &'static str,
}

impl ManagedPolicy {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}{}", self.path.trim_start_matches('/'), self.name)
    }
}

/// All of them, by name.
#[must_use]
pub fn all() -> &'static [ManagedPolicy] {
    ALL
}

/// The one of this ARN.
#[must_use]
pub fn find(arn: &str) -> Option<&'static ManagedPolicy> {
    let rest = arn.strip_prefix(ARN_PREFIX)?;
    let (path, name) = rest.rsplit_once('/').map_or(("", rest), |(path, name)| (path, name));
    ALL.iter().find(|policy| policy.name == name && policy.path.trim_matches('/') == path)
}

/// A document of one statement that allows these actions on everything.
macro_rules! allow {
    ($first:literal $(, $more:literal)*) => {
        concat!(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["#,
            '"', $first, '"', $(',', '"', $more, '"',)*
            r#"],"Resource":"*"}]}"#
        )
    };
}

const fn root(name: &'static str, document: &'static str) -> ManagedPolicy {
    ManagedPolicy { path: "/", name, document }
}

const fn service_role(name: &'static str, document: &'static str) -> ManagedPolicy {
    ManagedPolicy { path: "/service-role/", name, document }
}

const ALL: &[ManagedPolicy] = &[
    root("AWSLambdaExecute", LAMBDA_EXECUTE),
    root("AWSLambda_FullAccess", LAMBDA_FULL_ACCESS),
    root("AWSLambda_ReadOnlyAccess", LAMBDA_READ_ONLY),
    root("AWSStepFunctionsFullAccess", allow!("states:*")),
    root("AWSXRayDaemonWriteAccess", XRAY_WRITE),
    root("AWSXrayWriteOnlyAccess", XRAY_WRITE),
    root("AdministratorAccess", allow!("*")),
    root("AmazonDynamoDBFullAccess", allow!("dynamodb:*", "dax:*")),
    root("AmazonDynamoDBReadOnlyAccess", DYNAMODB_READ_ONLY),
    root("AmazonEventBridgeFullAccess", allow!("events:*", "schemas:*", "scheduler:*", "pipes:*")),
    root("AmazonKinesisFullAccess", allow!("kinesis:*")),
    root("AmazonKinesisReadOnlyAccess", allow!("kinesis:Get*", "kinesis:List*", "kinesis:Describe*")),
    root("AmazonS3FullAccess", allow!("s3:*", "s3-object-lambda:*")),
    root("AmazonS3ReadOnlyAccess", S3_READ_ONLY),
    root("AmazonSNSFullAccess", allow!("sns:*")),
    root("AmazonSNSReadOnlyAccess", allow!("sns:GetTopicAttributes", "sns:List*")),
    root("AmazonSQSFullAccess", allow!("sqs:*")),
    root("AmazonSQSReadOnlyAccess", SQS_READ_ONLY),
    root(
        "AmazonSSMFullAccess",
        allow!("cloudwatch:PutMetricData", "ds:CreateComputer", "logs:*", "ssm:*", "ec2messages:*"),
    ),
    root("AmazonSSMReadOnlyAccess", allow!("ssm:Describe*", "ssm:Get*", "ssm:List*")),
    root("CloudWatchFullAccess", allow!("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*")),
    root("CloudWatchLambdaInsightsExecutionRolePolicy", LAMBDA_INSIGHTS),
    root("CloudWatchLogsFullAccess", allow!("logs:*", "cloudwatch:GenerateQuery")),
    root("CloudWatchLogsReadOnlyAccess", LOGS_READ_ONLY),
    root("IAMFullAccess", allow!("iam:*", "organizations:DescribeAccount")),
    root("IAMReadOnlyAccess", IAM_READ_ONLY),
    root("PowerUserAccess", POWER_USER),
    root("SecretsManagerReadWrite", allow!("secretsmanager:*", "kms:DescribeKey", "kms:ListAliases", "kms:ListKeys")),
    service_role("AWSCodeDeployRoleForLambda", CODE_DEPLOY),
    service_role("AWSCodeDeployRoleForLambdaLimited", CODE_DEPLOY_LIMITED),
    service_role("AWSLambdaBasicDurableExecutionRolePolicy", DURABLE_EXECUTION),
    service_role("AWSLambdaBasicExecutionRole", BASIC_EXECUTION),
    service_role("AWSLambdaDynamoDBExecutionRole", DYNAMODB_EXECUTION),
    service_role("AWSLambdaENIManagementAccess", ENI_MANAGEMENT),
    service_role("AWSLambdaKinesisExecutionRole", KINESIS_EXECUTION),
    service_role("AWSLambdaMSKExecutionRole", MSK_EXECUTION),
    service_role("AWSLambdaRole", allow!("lambda:InvokeFunction")),
    service_role("AWSLambdaSQSQueueExecutionRole", SQS_EXECUTION),
    service_role("AWSLambdaVPCAccessExecutionRole", VPC_EXECUTION),
];

const BASIC_EXECUTION: &str = allow!("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents");

const DURABLE_EXECUTION: &str = allow!(
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "lambda:CheckpointDurableExecution",
    "lambda:GetDurableExecutionState"
);

const VPC_EXECUTION: &str = allow!(
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses"
);

const ENI_MANAGEMENT: &str = allow!(
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses"
);

const SQS_EXECUTION: &str = allow!(
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents"
);

const KINESIS_EXECUTION: &str = allow!(
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:ListStreams",
    "kinesis:SubscribeToShard",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents"
);

const DYNAMODB_EXECUTION: &str = allow!(
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents"
);

const MSK_EXECUTION: &str = allow!(
    "kafka:DescribeCluster",
    "kafka:DescribeClusterV2",
    "kafka:GetBootstrapBrokers",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents"
);

const XRAY_WRITE: &str = allow!(
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries"
);

const LAMBDA_INSIGHTS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:CreateLogGroup","Resource":"*"},{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda-insights:*"}]}"#;

const LAMBDA_EXECUTE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:*"],"Resource":"arn:aws:logs:*:*:*"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::*"}]}"#;

const LAMBDA_FULL_ACCESS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudformation:ListStackResources","cloudwatch:ListMetrics","cloudwatch:GetMetricData","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles","lambda:*","logs:DescribeLogGroups","states:DescribeStateMachine","states:ListStateMachines","tag:GetResources","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}},{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"}]}"#;

const LAMBDA_READ_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudformation:ListStackResources","cloudwatch:GetMetricData","cloudwatch:ListMetrics","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles","logs:DescribeLogGroups","lambda:Get*","lambda:List*","states:DescribeStateMachine","states:ListStateMachines","tag:GetResources","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resource":"*"},{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"}]}"#;

const DYNAMODB_READ_ONLY: &str = allow!(
    "dynamodb:BatchGetItem",
    "dynamodb:Describe*",
    "dynamodb:List*",
    "dynamodb:GetAbacStatus",
    "dynamodb:GetItem",
    "dynamodb:GetResourcePolicy",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:PartiQLSelect"
);

const S3_READ_ONLY: &str =
    allow!("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*");

const SQS_READ_ONLY: &str = allow!(
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListDeadLetterSourceQueues",
    "sqs:ListQueues",
    "sqs:ListMessageMoveTasks",
    "sqs:ListQueueTags"
);

const LOGS_READ_ONLY: &str = allow!(
    "logs:Describe*",
    "logs:Get*",
    "logs:List*",
    "logs:StartQuery",
    "logs:StopQuery",
    "logs:TestMetricFilter",
    "logs:FilterLogEvents",
    "logs:StartLiveTail",
    "logs:StopLiveTail",
    "cloudwatch:GenerateQuery"
);

const IAM_READ_ONLY: &str = allow!(
    "iam:GenerateCredentialReport",
    "iam:GenerateServiceLastAccessedDetails",
    "iam:Get*",
    "iam:List*",
    "iam:SimulateCustomPolicy",
    "iam:SimulatePrincipalPolicy"
);

const POWER_USER: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeEffectivePolicy","organizations:DescribeOrganization"],"Resource":"*"}]}"#;

const CODE_DEPLOY: &str = r#"{"Version":"2012-10-17","Statement":[{"Action":["cloudwatch:DescribeAlarms","lambda:UpdateAlias","lambda:GetAlias","lambda:GetProvisionedConcurrencyConfig","sns:Publish"],"Resource":"*","Effect":"Allow"},{"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::*/CodeDeploy/*","Effect":"Allow"},{"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/UseWithCodeDeploy":"true"}},"Effect":"Allow"},{"Action":["lambda:InvokeFunction"],"Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*","Effect":"Allow"}]}"#;

const CODE_DEPLOY_LIMITED: &str = r#"{"Version":"2012-10-17","Statement":[{"Action":["cloudwatch:DescribeAlarms","lambda:UpdateAlias","lambda:GetAlias","lambda:GetProvisionedConcurrencyConfig"],"Resource":"*","Effect":"Allow"},{"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::*/CodeDeploy/*","Effect":"Allow"},{"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/UseWithCodeDeploy":"true"}},"Effect":"Allow"},{"Action":["lambda:InvokeFunction"],"Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*","Effect":"Allow"}]}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Document, Kind};

    #[test]
    fn all_are_documents_in_order_and_found_by_their_arns() {
        for policy in all() {
            Document::parse(policy.document, Kind::Identity).unwrap_or_else(|error| panic!("{}: {error}", policy.name));
            assert_eq!(find(&policy.arn()), Some(policy));
        }
        assert!(all().windows(2).all(|pair| (pair[0].path, pair[0].name) < (pair[1].path, pair[1].name)));
        let basic = find("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole").unwrap();
        assert!(basic.document.contains("logs:PutLogEvents"));
        assert_eq!(find("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole"), None);
        assert_eq!(find("arn:aws:iam::000000000000:policy/AdministratorAccess"), None);
    }
}
