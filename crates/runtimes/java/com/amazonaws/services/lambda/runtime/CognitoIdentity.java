package com.amazonaws.services.lambda.runtime;

/** Who called, where Amazon Cognito knows. */
public interface CognitoIdentity {
    String getIdentityId();

    String getIdentityPoolId();
}
