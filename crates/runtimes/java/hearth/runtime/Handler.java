package hearth.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.ServiceLoader;

/** The function: `pkg.Class` or `pkg.Class::method`. */
final class Handler {
    private static final String PARSING = "An error occurred during JSON parsing";
    private static final String WRITING = "An error occurred during JSON serialization of response";

    private final Object target;
    private final Method method;
    private final Class<?> owner;
    private final CustomPojoSerializer serializer;

    private Handler(Object target, Method method, Class<?> owner, CustomPojoSerializer serializer) {
        this.target = target;
        this.method = method;
        this.owner = owner;
        this.serializer = serializer;
    }

    static Handler find(String text, ClassLoader loader) throws Throwable {
        int colons = text.lastIndexOf("::");
        String name = colons < 0 ? text : text.substring(0, colons);
        Class<?> owner = load(name, loader);
        Method method = colons < 0 ? ofInterface(owner) : named(owner, text.substring(colons + 2));
        method.setAccessible(true);
        Object target = Modifier.isStatic(method.getModifiers()) ? null : instance(owner);
        return new Handler(target, method, owner, serializer(loader));
    }

    private static Class<?> load(String name, ClassLoader loader) throws Fault {
        try {
            return Class.forName(name, true, loader);
        } catch (ClassNotFoundException | NoClassDefFoundError e) {
            if (e instanceof NoClassDefFoundError && !String.valueOf(e.getMessage()).contains("wrong name")) {
                throw (NoClassDefFoundError) e;
            }
            throw new Fault("Class not found: " + name, "java.lang.ClassNotFoundException", e);
        }
    }

    private static Method ofInterface(Class<?> owner) throws Fault, NoSuchMethodException {
        if (RequestStreamHandler.class.isAssignableFrom(owner)) {
            return RequestStreamHandler.class.getMethod("handleRequest", InputStream.class, OutputStream.class, Context.class);
        }
        if (RequestHandler.class.isAssignableFrom(owner)) {
            return RequestHandler.class.getMethod("handleRequest", Object.class, Context.class);
        }
        throw new Fault("Class " + owner.getName() + " does not implement an appropriate handler interface", "java.lang.Exception", null);
    }

    /** Of the methods of that name the one with most parameters; a Context is the last one. */
    private static Method named(Class<?> owner, String name) throws Fault {
        Method best = null;
        for (Method method : owner.getMethods()) {
            if (method.getName().equals(name) && !method.isBridge() && fits(method.getParameterTypes()) && isBetter(method, best)) {
                best = method;
            }
        }
        if (best == null) {
            throw new Fault("No public method named " + name + " with appropriate method signature found on class " + owner.getName(), "java.lang.Exception", null);
        }
        return best;
    }

    private static boolean fits(Class<?>[] types) {
        int count = types.length;
        boolean streams = count >= 2 && types[0] == InputStream.class && types[1] == OutputStream.class;
        return count <= 1 || streams && count == 2 || (count == 2 || streams && count == 3) && types[count - 1] == Context.class;
    }

    private static boolean isBetter(Method method, Method best) {
        return best == null || method.getParameterTypes().length > best.getParameterTypes().length;
    }

    private static Object instance(Class<?> owner) throws Throwable {
        try {
            return owner.getConstructor().newInstance();
        } catch (NoSuchMethodException e) {
            throw new Fault("Class " + owner.getName() + " has no public zero-argument constructor", "java.lang.Exception", e);
        } catch (InstantiationException e) {
            throw new Fault("Class " + owner.getName() + " is abstract and cannot be instantiated", "java.lang.Exception", e);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private static CustomPojoSerializer serializer(ClassLoader loader) {
        // Looking for one costs milliseconds; the file says at once whether there is any.
        if (loader.getResource("META-INF/services/" + CustomPojoSerializer.class.getName()) == null) {
            return null;
        }
        Iterator<CustomPojoSerializer> all = ServiceLoader.load(CustomPojoSerializer.class, loader).iterator();
        return all.hasNext() ? all.next() : null;
    }

    /** The answer's bytes. */
    byte[] call(byte[] event, Context context) throws Throwable {
        Type[] types = method.getGenericParameterTypes();
        Object[] arguments = new Object[types.length];
        ByteArrayOutputStream written = null;
        for (int i = 0; i < types.length; i++) {
            Class<?> type = method.getParameterTypes()[i];
            if (type == Context.class) {
                arguments[i] = context;
            } else if (type == InputStream.class) {
                arguments[i] = new ByteArrayInputStream(event);
            } else if (type == OutputStream.class) {
                written = new ByteArrayOutputStream(1024);
                arguments[i] = written;
            } else {
                arguments[i] = read(event, types[i]);
            }
        }
        Object answer;
        try {
            answer = method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        return written != null ? written.toByteArray() : write(answer);
    }

    private Object read(byte[] event, Type type) throws Fault {
        try {
            Type resolved = Types.resolved(type, Types.bindings(owner, Types.NONE));
            if (serializer != null) {
                return serializer.fromJson(new ByteArrayInputStream(event), resolved);
            }
            Object json = Json.parse(new String(event, StandardCharsets.UTF_8));
            return Reader.read(json, type, Types.bindings(owner, Types.NONE));
        } catch (Exception | StackOverflowError e) {
            throw new Fault(PARSING, "java.lang.RuntimeException", e instanceof InvocationTargetException ? e.getCause() : e);
        }
    }

    private byte[] write(Object answer) throws Fault {
        try {
            if (serializer != null && method.getReturnType() != void.class) {
                ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
                serializer.toJson(answer, out, method.getGenericReturnType());
                return out.toByteArray();
            }
            StringBuilder out = new StringBuilder();
            Writer.write(answer, out);
            return out.toString().getBytes(StandardCharsets.UTF_8);
        } catch (Exception | StackOverflowError e) {
            throw new Fault(WRITING, "java.lang.RuntimeException", e);
        }
    }
}
