package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Functions of all kinds, for the tests. */
public class Handlers {
    private int count;

    /** Of the interface, with maps. */
    public static class Maps implements RequestHandler<Map<String, Object>, Map<String, Object>> {
        @Override
        public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("echo", event);
            answer.put("name", context.getFunctionName());
            return answer;
        }

        /** Another method of the same class. */
        public String other(Object event) {
            return "other";
        }
    }

    /** A person. */
    public static class Person {
        public enum Kind { ADULT, CHILD }

        private String firstName;
        private int age;
        private Kind kind;
        private List<Person> children = Collections.emptyList();
        private Instant since;
        private Optional<String> nick = Optional.empty();
        public double[] weights;

        public String getFirstName() {
            return firstName;
        }

        public void setFirstName(String firstName) {
            this.firstName = firstName;
        }

        public int getAge() {
            return age;
        }

        public void setAge(int age) {
            this.age = age;
        }

        public Kind getKind() {
            return kind;
        }

        public void setKind(Kind kind) {
            this.kind = kind;
        }

        public List<Person> getChildren() {
            return children;
        }

        public void setChildren(List<Person> children) {
            this.children = children;
        }

        public Instant getSince() {
            return since;
        }

        public void setSince(Instant since) {
            this.since = since;
        }

        public Optional<String> getNick() {
            return nick;
        }

        public void setNick(Optional<String> nick) {
            this.nick = nick;
        }
    }

    /** Of the interface, with a class of its own, found through a class in between. */
    public static class Persons extends Base<Person> {}

    /** In between. */
    public abstract static class Base<T extends Person> implements RequestHandler<T, T> {
        @Override
        public T handleRequest(T person, Context context) {
            person.setAge(person.getAge() + 1);
            person.getChildren().forEach(child -> child.setAge(child.getAge() + 1));
            return person;
        }
    }

    /** Bytes in, bytes out. */
    public static class Streams implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
            byte[] buffer = new byte[8192];
            for (int count; (count = input.read(buffer)) >= 0; ) {
                output.write(buffer, 0, count);
            }
        }
    }

    public int counts() {
        return ++count;
    }

    public List<Integer> sum(List<Integer> numbers, Context context) {
        return Arrays.asList(numbers.size(), numbers.stream().mapToInt(Integer::intValue).sum());
    }

    public String text(String text) {
        return text + "!";
    }

    public static long half(long number) {
        return number / 2;
    }

    public Object dates(Map<String, Date> dates) {
        return dates;
    }

    public void nothing() {}

    public Object context(Object event, Context context) {
        Map<String, Object> seen = new LinkedHashMap<>();
        seen.put("id", context.getAwsRequestId());
        seen.put("arn", context.getInvokedFunctionArn());
        seen.put("version", context.getFunctionVersion());
        seen.put("memory", context.getMemoryLimitInMB());
        seen.put("group", context.getLogGroupName());
        seen.put("stream", context.getLogStreamName());
        seen.put("left", context.getRemainingTimeInMillis());
        seen.put("custom", context.getClientContext() == null ? null : context.getClientContext().getCustom());
        seen.put("title", context.getClientContext() == null ? null : context.getClientContext().getClient().getAppTitle());
        seen.put("identity", context.getIdentity().getIdentityId());
        seen.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
        seen.put("environment", System.getenv());
        seen.put("directory", new java.io.File(".").getAbsoluteFile().getParent());
        seen.put("charset", java.nio.charset.Charset.defaultCharset().name());
        seen.put("java", System.getProperty("java.version"));
        return seen;
    }

    public Object fails(Map<String, String> how) throws Exception {
        try {
            Object none = null;
            none.toString();
        } catch (NullPointerException e) {
            throw new IllegalStateException("broken: " + how.get("why"), e);
        }
        return null;
    }

    public int deep(int n) {
        return deep(n + 1) + 1;
    }

    public void exits(int status) {
        System.exit(status);
    }

    public void logs(Object event, Context context) {
        System.out.println("printed");
        LambdaLogger logger = context.getLogger();
        logger.log("plain");
        logger.log("careful", LogLevel.WARN);
        logger.log("low", LogLevel.DEBUG);
    }

    public Object library(Object event) throws Exception {
        return Class.forName("extra.Library").getMethod("name").invoke(null);
    }

    public Object platform(Object event) throws Exception {
        java.security.MessageDigest digest = java.security.MessageDigest.getInstance("SHA-256");
        java.nio.file.Path file = java.nio.file.Files.createTempFile("x", "y");
        java.nio.file.Files.write(file, digest.digest(new byte[0]));
        Process process = new ProcessBuilder("echo", "hi").start();
        String said = new java.io.BufferedReader(new java.io.InputStreamReader(process.getInputStream())).readLine();
        javax.net.ssl.SSLContext.getDefault();
        return Arrays.asList(java.nio.file.Files.size(file), said, java.time.ZoneId.systemDefault().getId().length() > 0,
                java.util.concurrent.CompletableFuture.supplyAsync(() -> 7).get(), "ü");
    }

    /** None of the interfaces. */
    public static class Plain {}

    /** Fails while it is made. */
    public static class Broken {
        public Broken() {
            throw new IllegalArgumentException("not today");
        }

        public void run() {}
    }
}
