package hearth.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/** The context of one invoke. */
final class InvokeContext implements Context {
    private final Map<String, String> headers;
    private final Map<String, String> variables;
    private final LambdaLogger logger;
    private final ClientContext client;
    private final CognitoIdentity identity;

    InvokeContext(Map<String, String> headers, Map<String, String> variables, LambdaLogger logger) {
        this.headers = headers;
        this.variables = variables;
        this.logger = logger;
        String sent = headers.get("lambda-runtime-client-context");
        client = sent == null ? null : new Sent(object(Json.parse(sent)));
        String cognito = headers.get("lambda-runtime-cognito-identity");
        identity = new Identity(cognito == null ? Collections.emptyMap() : object(Json.parse(cognito)));
    }

    @Override
    public String getAwsRequestId() {
        return headers.get("lambda-runtime-aws-request-id");
    }

    @Override
    public String getLogGroupName() {
        return variables.get("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return variables.get("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return variables.get("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return variables.get("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return headers.get("lambda-runtime-invoked-function-arn");
    }

    @Override
    public CognitoIdentity getIdentity() {
        return identity;
    }

    @Override
    public ClientContext getClientContext() {
        return client;
    }

    @Override
    public int getRemainingTimeInMillis() {
        long left = Long.parseLong(headers.get("lambda-runtime-deadline-ms")) - System.currentTimeMillis();
        return left > 0 ? (int) left : 0;
    }

    @Override
    public int getMemoryLimitInMB() {
        return Integer.parseInt(variables.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }

    @Override
    public LambdaLogger getLogger() {
        return logger;
    }

    @Override
    public String getTenantId() {
        return headers.get("lambda-runtime-aws-tenant-id");
    }

    @Override
    public String getXrayTraceId() {
        return headers.get("lambda-runtime-trace-id");
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object json) {
        return json instanceof Map ? (Map<String, Object>) json : Collections.<String, Object>emptyMap();
    }

    private static String text(Map<String, Object> object, String name) {
        Object value = object.get(name);
        return value == null ? null : value.toString();
    }

    private static final class Identity implements CognitoIdentity {
        private final Map<String, Object> json;

        Identity(Map<String, Object> json) {
            this.json = json;
        }

        @Override
        public String getIdentityId() {
            return text(json, "cognitoIdentityId");
        }

        @Override
        public String getIdentityPoolId() {
            return text(json, "cognitoIdentityPoolId");
        }
    }

    private static final class Sent implements ClientContext {
        private final Map<String, Object> json;

        Sent(Map<String, Object> json) {
            this.json = json;
        }

        @Override
        public Client getClient() {
            return json.get("client") == null ? null : new Application(object(json.get("client")));
        }

        @Override
        public Map<String, String> getCustom() {
            return texts("custom");
        }

        @Override
        public Map<String, String> getEnvironment() {
            return texts("env");
        }

        private Map<String, String> texts(String member) {
            if (json.get(member) == null) {
                return null;
            }
            Map<String, String> texts = new HashMap<>();
            Map<String, Object> object = object(json.get(member));
            for (String name : object.keySet()) {
                texts.put(name, text(object, name));
            }
            return texts;
        }
    }

    private static final class Application implements Client {
        private final Map<String, Object> json;

        Application(Map<String, Object> json) {
            this.json = json;
        }

        @Override
        public String getInstallationId() {
            return text(json, "installation_id");
        }

        @Override
        public String getAppTitle() {
            return text(json, "app_title");
        }

        @Override
        public String getAppVersionName() {
            return text(json, "app_version_name");
        }

        @Override
        public String getAppVersionCode() {
            return text(json, "app_version_code");
        }

        @Override
        public String getAppPackageName() {
            return text(json, "app_package_name");
        }
    }
}
