package hearth.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Date;
import java.util.Map;
import java.util.Optional;

/** Writes values as JSON. */
final class Writer {
    private Writer() {}

    static void write(Object value, StringBuilder out) throws ReflectiveOperationException {
        if (value == null) {
            out.append("null");
        } else if (value instanceof CharSequence || value instanceof Character) {
            Json.quote(value.toString(), out);
        } else if (value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof Number && value.getClass().getName().startsWith("java.")) {
            out.append(Json.number((Number) value));
        } else if (value instanceof Map) {
            map((Map<?, ?>) value, out);
        } else if (value instanceof Iterable && !(value instanceof java.nio.file.Path)) {
            list(((Iterable<?>) value).iterator(), out);
        } else if (value.getClass().isArray()) {
            array(value, out);
        } else if (value instanceof Enum) {
            Json.quote(((Enum<?>) value).name(), out);
        } else if (value instanceof Optional) {
            write(((Optional<?>) value).orElse(null), out);
        } else if (value instanceof Date) {
            out.append(((Date) value).getTime());
        } else if (value instanceof ByteBuffer) {
            ByteBuffer bytes = ((ByteBuffer) value).duplicate();
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            Json.quote(Base64.getEncoder().encodeToString(copy), out);
        } else if (value.getClass().getName().startsWith("java.") || value.getClass().getName().startsWith("sun.")) {
            Json.quote(value.toString(), out);
        } else {
            bean(value, out);
        }
    }

    private static void map(Map<?, ?> map, StringBuilder out) throws ReflectiveOperationException {
        out.append('{');
        boolean first = true;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            first = comma(first, out);
            Object key = entry.getKey();
            Json.quote(key instanceof Enum ? ((Enum<?>) key).name() : String.valueOf(key), out);
            out.append(':');
            write(entry.getValue(), out);
        }
        out.append('}');
    }

    private static void list(java.util.Iterator<?> all, StringBuilder out) throws ReflectiveOperationException {
        out.append('[');
        boolean first = true;
        while (all.hasNext()) {
            first = comma(first, out);
            write(all.next(), out);
        }
        out.append(']');
    }

    private static void array(Object array, StringBuilder out) throws ReflectiveOperationException {
        if (array instanceof byte[]) {
            Json.quote(Base64.getEncoder().encodeToString((byte[]) array), out);
            return;
        }
        if (array instanceof char[]) {
            Json.quote(new String((char[]) array), out);
            return;
        }
        out.append('[');
        for (int i = 0; i < Array.getLength(array); i++) {
            comma(i == 0, out);
            write(Array.get(array, i), out);
        }
        out.append(']');
    }

    private static void bean(Object value, StringBuilder out) throws ReflectiveOperationException {
        out.append('{');
        boolean first = true;
        for (Bean.Property property : Bean.of(value.getClass()).properties.values()) {
            if (property.isRead()) {
                first = comma(first, out);
                Json.quote(property.name, out);
                out.append(':');
                try {
                    write(property.get(value), out);
                } catch (InvocationTargetException e) {
                    throw new IllegalArgumentException("the getter of " + property.name + " failed", e.getCause());
                }
            }
        }
        out.append('}');
    }

    private static boolean comma(boolean first, StringBuilder out) {
        if (!first) {
            out.append(',');
        }
        return false;
    }
}
