package com.amazonaws.services.lambda.runtime;

/** What the runtime and its logging libraries tell each other. */
public final class LambdaRuntimeInternal {
    static volatile LambdaLogger logger;
    private static volatile boolean useLog4jAppender;

    private LambdaRuntimeInternal() {}

    public static void setLogger(LambdaLogger value) {
        logger = value;
    }

    public static void setUseLog4jAppender(boolean value) {
        useLog4jAppender = value;
    }

    public static boolean getUseLog4jAppender() {
        return useLog4jAppender;
    }
}
