package hearth.runtime;

import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Field;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Runs a Java function: asks the Runtime API for one event after the other and gives each to the handler. */
public final class Main {
    private static final String TRACE = "_X_AMZN_TRACE_ID";

    private Main() {}

    public static void main(String[] arguments) throws IOException {
        Map<String, String> variables = System.getenv();
        RuntimeApi api = new RuntimeApi(variables.get("AWS_LAMBDA_RUNTIME_API"));
        Log log = new Log(variables);
        LambdaRuntimeInternal.setLogger(log);
        Handler handler;
        try {
            ClassLoader loader = loader(variables.get("LAMBDA_TASK_ROOT"));
            Thread.currentThread().setContextClassLoader(loader);
            handler = Handler.find(variables.get("_HANDLER"), loader);
        } catch (Throwable error) {
            log.failure(error);
            api.send(RuntimeApi.post("init/error", Fault.json(error), type(error)));
            api.receive();
            System.exit(1);
            return;
        }
        flush();
        api.send(RuntimeApi.NEXT);
        String runtime = variables.get("AWS_EXECUTION_ENV");
        boolean old = "AWS_Lambda_java11".equals(runtime) || "AWS_Lambda_java8.al2".equals(runtime);
        while (true) {
            RuntimeApi.Answer next = api.receive();
            if (next.status != 200) {
                throw new IOException("the Runtime API answered next with " + next.status);
            }
            trace(next.headers.get("lambda-runtime-trace-id"), old);
            // The answer and the wish for more go out in one piece: nothing happens between them.
            api.send(RuntimeApi.join(answer(handler, next, variables, log), RuntimeApi.NEXT));
            api.receive();
        }
    }

    /** Gives one event to the handler: the message that says how it went. */
    private static byte[] answer(Handler handler, RuntimeApi.Answer next, Map<String, String> variables, Log log) {
        String id = next.headers.get("lambda-runtime-aws-request-id");
        log.requestId = id;
        log.tenantId = next.headers.get("lambda-runtime-aws-tenant-id");
        byte[] message;
        try {
            byte[] value = handler.call(next.body, new InvokeContext(next.headers, variables, log));
            message = RuntimeApi.post("invocation/" + id + "/response", value, "");
        } catch (Throwable error) {
            log.failure(error);
            message = RuntimeApi.post("invocation/" + id + "/error", Fault.json(error), type(error));
        }
        flush();
        return message;
    }

    private static String type(Throwable error) {
        return "Lambda-Runtime-Function-Error-Type: " + Fault.typeOf(error) + "\r\n";
    }

    private static void flush() {
        System.out.flush();
        System.err.flush();
    }

    /** The package, its libraries, those of layers; what this runtime brings goes before all of them. */
    private static ClassLoader loader(String task) throws MalformedURLException {
        List<URL> all = new ArrayList<>();
        all.add(new File(task + "/").toURI().toURL());
        libraries(new File(task, "lib"), all);
        libraries(new File("/opt/java/lib"), all);
        return new URLClassLoader(all.toArray(new URL[0]), Main.class.getClassLoader());
    }

    private static void libraries(File folder, List<URL> all) throws MalformedURLException {
        File[] files = folder.listFiles();
        if (files == null) {
            return;
        }
        Arrays.sort(files);
        for (File file : files) {
            if (file.getName().endsWith(".jar")) {
                all.add(file.toURI().toURL());
            }
        }
    }

    /** A property; before Java 17 a variable, as on Lambda. */
    private static void trace(String id, boolean old) {
        if (id == null) {
            System.clearProperty("com.amazonaws.xray.traceHeader");
        } else {
            System.setProperty("com.amazonaws.xray.traceHeader", id);
        }
        if (old) {
            setVariable(id);
        }
    }

    @SuppressWarnings("unchecked")
    private static void setVariable(String id) {
        try {
            Map<String, String> all = System.getenv();
            Field inside = all.getClass().getDeclaredField("m");
            inside.setAccessible(true);
            Map<String, String> map = (Map<String, String>) inside.get(all);
            if (id == null) {
                map.remove(TRACE);
            } else {
                map.put(TRACE, id);
            }
        } catch (ReflectiveOperationException | RuntimeException e) {
            return; // The property says it.
        }
    }
}
