package com.amazonaws.services.lambda.runtime;

/** Where code that has no context finds the logger. */
public interface LambdaRuntime {
    static LambdaLogger getLogger() {
        return LambdaRuntimeInternal.logger;
    }
}
