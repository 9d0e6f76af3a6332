package hearth.runtime;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What a failure looks like to the caller and in the log. */
final class Fault extends Exception {
    private static final long serialVersionUID = 1;

    /** Whose name is the answer's errorType. */
    final String type;

    /** A failure that the runtime found, not the function's code. */
    Fault(String message, String type, Throwable cause) {
        super(message, cause, false, false);
        this.type = type;
    }

    static String typeOf(Throwable error) {
        return error instanceof Fault ? ((Fault) error).type : error.getClass().getName();
    }

    static byte[] json(Throwable error) {
        StringBuilder out = new StringBuilder();
        try {
            Writer.write(object(error, Collections.newSetFromMap(new IdentityHashMap<>())), out);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e); // It is made of maps, lists and strings.
        }
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    static Map<String, Object> object(Throwable error, Set<Throwable> seen) {
        Map<String, Object> object = new LinkedHashMap<>();
        object.put("errorMessage", error.getLocalizedMessage());
        object.put("errorType", typeOf(error));
        List<String> frames = new ArrayList<>();
        for (StackTraceElement frame : own(error)) {
            frames.add(frame.toString());
        }
        object.put("stackTrace", frames);
        if (error.getCause() != null && seen.add(error)) {
            object.put("cause", object(error.getCause(), seen));
        }
        return object;
    }

    /** The frames above this runtime's. */
    private static StackTraceElement[] own(Throwable error) {
        StackTraceElement[] all = error.getStackTrace();
        for (int i = 0; i < all.length; i++) {
            if (all[i].getClassName().startsWith("hearth.runtime.")) {
                return java.util.Arrays.copyOf(all, i);
            }
        }
        return all;
    }

    /** For the log: message, type, trace. */
    static String report(Throwable error) {
        StringWriter trace = new StringWriter();
        Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        for (Throwable each = error; each != null && seen.add(each); each = each.getCause()) {
            each.setStackTrace(own(each));
        }
        if (error instanceof Fault) {
            if (error.getCause() != null) {
                error.getCause().printStackTrace(new PrintWriter(trace, true));
            }
        } else {
            error.printStackTrace(new PrintWriter(trace, true));
        }
        return error.getLocalizedMessage() + ": " + typeOf(error) + "\n" + trace;
    }
}
