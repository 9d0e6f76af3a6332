package com.amazonaws.services.lambda.runtime.logging;

/** How lines of the log look. */
public enum LogFormat {
    JSON,
    TEXT;

    public static LogFormat fromString(String name) {
        if (name != null) {
            for (LogFormat format : values()) {
                if (format.name().equalsIgnoreCase(name)) {
                    return format;
                }
            }
        }
        throw new IllegalArgumentException("Invalid log format: '" + name + "' expected one of [JSON, TEXT]");
    }
}
