package hearth.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The logger of functions: a message is a line of its own, in the JSON format an object. */
final class Log implements LambdaLogger {
    private final FileOutputStream output = new FileOutputStream(FileDescriptor.out);
    private final boolean json;
    private final LogLevel least;
    volatile String requestId;
    volatile String tenantId;

    Log(Map<String, String> variables) {
        json = "JSON".equalsIgnoreCase(variables.get("AWS_LAMBDA_LOG_FORMAT"));
        String level = variables.get("AWS_LAMBDA_LOG_LEVEL");
        LogLevel least = LogLevel.UNDEFINED;
        if (json && level != null) {
            try {
                least = LogLevel.fromString(level);
            } catch (IllegalArgumentException e) {
                least = LogLevel.UNDEFINED;
            }
        }
        this.least = least;
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message, LogLevel level) {
        if (level == LogLevel.UNDEFINED || level.ordinal() >= least.ordinal()) {
            write(bytes(json ? object(message, level, null) : String.valueOf(message)));
        }
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        if (level == LogLevel.UNDEFINED || level.ordinal() >= least.ordinal()) {
            write(message);
        }
    }

    /** That an invoke, or the load of the function, failed. */
    void failure(Throwable error) {
        write(bytes(json ? object(error.getLocalizedMessage(), LogLevel.ERROR, error) : Fault.report(error)));
    }

    private String object(String message, LogLevel level, Throwable error) {
        StringBuilder out = new StringBuilder("{\"timestamp\":");
        Json.quote(java.time.Instant.now().truncatedTo(java.time.temporal.ChronoUnit.MILLIS).toString(), out);
        out.append(",\"message\":");
        Json.quote(String.valueOf(message), out);
        out.append(",\"level\":");
        Json.quote(level.name(), out);
        if (requestId != null) {
            out.append(",\"AWSRequestId\":");
            Json.quote(requestId, out);
        }
        if (tenantId != null) {
            out.append(",\"tenantId\":");
            Json.quote(tenantId, out);
        }
        if (error != null) {
            String members = new String(Fault.json(error), StandardCharsets.UTF_8);
            out.append(',').append(members, 1, members.length() - 1);
        }
        return out.append('}').toString();
    }


    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private synchronized void write(byte[] message) {
        boolean ended = message.length > 0 && message[message.length - 1] == '\n';
        byte[] line = ended ? message : RuntimeApi.join(message, new byte[] {'\n'});
        try {
            System.out.flush();
            output.write(line);
        } catch (IOException e) {
            return; // Nobody reads it any more.
        }
    }
}
