package hearth.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Makes values of a wanted type from what JSON says. Members that nobody knows are left out. */
final class Reader {
    private Reader() {}

    static Object read(Object json, Type wanted, Map<TypeVariable<?>, Type> outer) throws ReflectiveOperationException {
        Type type = Types.resolved(wanted, outer);
        Class<?> raw = Types.raw(type);
        if (raw == Object.class) {
            return json;
        }
        if (raw == Optional.class) {
            return Optional.ofNullable(json == null ? null : read(json, Types.argument(type, Optional.class, 0, outer), outer));
        }
        if (json == null) {
            return raw.isPrimitive() && raw != void.class ? Array.get(Array.newInstance(raw, 1), 0) : null;
        }
        if (raw.isInstance(json) && (json instanceof String || json instanceof Boolean || raw == Number.class)) {
            return json;
        }
        if (Map.class.isAssignableFrom(raw)) {
            return map(json, type, raw, outer);
        }
        if (raw.isArray()) {
            return array(json, type, raw, outer);
        }
        if (Collection.class.isAssignableFrom(raw) || raw == Iterable.class) {
            return collection(json, type, raw, outer);
        }
        if (json instanceof Map) {
            return bean((Map<?, ?>) json, type, raw, outer);
        }
        if (json instanceof List) {
            throw mismatch(raw, "an array");
        }
        return scalar(json, raw);
    }

    private static IllegalArgumentException mismatch(Class<?> wanted, String given) {
        return new IllegalArgumentException("Cannot deserialize value of type `" + wanted.getName() + "` from " + given);
    }

    private static Object map(Object json, Type type, Class<?> raw, Map<TypeVariable<?>, Type> outer) throws ReflectiveOperationException {
        if (!(json instanceof Map)) {
            throw mismatch(raw, "what is no object");
        }
        Type key = Types.argument(type, Map.class, 0, outer);
        Type value = Types.argument(type, Map.class, 1, outer);
        if (key == Object.class && value == Object.class && raw.isInstance(json)) {
            return json;
        }
        Map<Object, Object> made = instance(raw, new LinkedHashMap<>());
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) json).entrySet()) {
            made.put(read(entry.getKey(), key, outer), read(entry.getValue(), value, outer));
        }
        return made;
    }

    private static Object collection(Object json, Type type, Class<?> raw, Map<TypeVariable<?>, Type> outer) throws ReflectiveOperationException {
        if (!(json instanceof List)) {
            throw mismatch(raw, "what is no array");
        }
        Type element = raw == Iterable.class ? Types.argument(type, Iterable.class, 0, outer) : Types.argument(type, Collection.class, 0, outer);
        Collection<Object> otherwise = java.util.SortedSet.class.isAssignableFrom(raw) ? new java.util.TreeSet<>()
                : java.util.Set.class.isAssignableFrom(raw) ? new LinkedHashSet<>()
                : java.util.Queue.class.isAssignableFrom(raw) ? new java.util.ArrayDeque<>() : new ArrayList<>();
        Collection<Object> made = instance(raw, raw == HashSet.class ? new HashSet<>() : otherwise);
        for (Object each : (List<?>) json) {
            made.add(read(each, element, outer));
        }
        return made;
    }

    /** The usual one where it fits, else one of the class that is wanted. */
    @SuppressWarnings("unchecked")
    private static <T> T instance(Class<?> raw, T usual) throws ReflectiveOperationException {
        if (raw.isInstance(usual)) {
            return usual;
        }
        if (raw.isAssignableFrom(java.util.TreeMap.class) && usual instanceof Map) {
            return (T) new java.util.TreeMap<>();
        }
        if (raw.isAssignableFrom(java.util.concurrent.ConcurrentHashMap.class) && usual instanceof Map) {
            return (T) new java.util.concurrent.ConcurrentHashMap<>();
        }
        return (T) raw.getDeclaredConstructor().newInstance();
    }

    private static Object array(Object json, Type type, Class<?> raw, Map<TypeVariable<?>, Type> outer) throws ReflectiveOperationException {
        Class<?> element = raw.getComponentType();
        if (element == byte.class && json instanceof String) {
            return Base64.getDecoder().decode((String) json);
        }
        if (element == char.class && json instanceof String) {
            return ((String) json).toCharArray();
        }
        if (!(json instanceof List)) {
            throw mismatch(raw, "what is no array");
        }
        Type each = type instanceof java.lang.reflect.GenericArrayType
                ? ((java.lang.reflect.GenericArrayType) type).getGenericComponentType() : element;
        List<?> list = (List<?>) json;
        Object made = Array.newInstance(element, list.size());
        for (int i = 0; i < list.size(); i++) {
            Array.set(made, i, read(list.get(i), each, outer));
        }
        return made;
    }

    private static Object bean(Map<?, ?> json, Type type, Class<?> raw, Map<TypeVariable<?>, Type> outer) throws ReflectiveOperationException {
        if (raw.isInterface() || raw.isEnum() || raw.isPrimitive() || raw.getName().startsWith("java.lang.") || Modifier.isAbstract(raw.getModifiers())) {
            throw mismatch(raw, "an object");
        }
        Map<TypeVariable<?>, Type> bound = Types.bindings(type, outer);
        Bean bean = Bean.of(raw);
        if (bean.canonical != null) {
            return record(json, bean, bound);
        }
        Object made = bean.make();
        for (Map.Entry<?, ?> entry : json.entrySet()) {
            Bean.Property property = bean.find((String) entry.getKey());
            Type wanted = property == null ? null : property.type();
            if (wanted != null) {
                property.set(made, read(entry.getValue(), wanted, bound));
            }
        }
        return made;
    }

    private static Object record(Map<?, ?> json, Bean bean, Map<TypeVariable<?>, Type> bound) throws ReflectiveOperationException {
        Type[] types = bean.canonical.getGenericParameterTypes();
        Object[] values = new Object[types.length];
        List<Bean.Property> all = new ArrayList<>(bean.properties.values());
        Map<Bean.Property, Object> given = new java.util.IdentityHashMap<>();
        for (Map.Entry<?, ?> entry : json.entrySet()) {
            given.put(bean.find((String) entry.getKey()), entry.getValue());
        }
        for (int i = 0; i < types.length; i++) {
            values[i] = read(given.get(all.get(i)), types[i], bound);
        }
        return bean.canonical.newInstance(values);
    }

    /** From a string, a number or a boolean. */
    private static Object scalar(Object json, Class<?> raw) throws ReflectiveOperationException {
        String text = json.toString();
        if (raw == String.class || raw == CharSequence.class) {
            return text;
        }
        if (json instanceof Boolean) {
            if (raw == boolean.class) {
                return json;
            }
            throw mismatch(raw, "a boolean");
        }
        if (raw == boolean.class || raw == Boolean.class) {
            if (text.equals("true") || text.equals("false")) {
                return Boolean.valueOf(text);
            }
            throw mismatch(raw, text);
        }
        if (raw == Date.class && json instanceof Number) {
            // Streams give seconds and their parts, everybody else milliseconds.
            return new Date(json instanceof Double ? Math.round((Double) json * 1000) : ((Number) json).longValue());
        }
        if (raw == Date.class) {
            return Date.from(java.time.OffsetDateTime.parse(text).toInstant());
        }
        if (raw.isEnum()) {
            return constant(json, text, raw);
        }
        if (raw == ByteBuffer.class) {
            return ByteBuffer.wrap(Base64.getDecoder().decode(text));
        }
        if (raw == char.class || raw == Character.class) {
            return text.charAt(0);
        }
        Object number = number(json, text, raw);
        return number != null ? number : fromText(json, text, raw);
    }

    private static Object number(Object json, String text, Class<?> raw) {
        boolean whole = !(json instanceof Double);
        Number given = json instanceof Number ? (Number) json : null;
        if (raw == int.class || raw == Integer.class) {
            long value = given == null ? Long.parseLong(text.trim()) : given.longValue();
            if (value != (int) value) {
                throw new IllegalArgumentException("Numeric value (" + text + ") out of range of int");
            }
            return (int) value;
        }
        if (raw == long.class || raw == Long.class) {
            return given == null ? Long.parseLong(text.trim()) : whole ? new BigInteger(text).longValueExact() : given.longValue();
        }
        if (raw == double.class || raw == Double.class) {
            return given == null ? Double.parseDouble(text) : given.doubleValue();
        }
        if (raw == float.class || raw == Float.class) {
            return given == null ? Float.parseFloat(text) : given.floatValue();
        }
        if (raw == short.class || raw == Short.class) {
            return given == null ? Short.parseShort(text) : given.shortValue();
        }
        if (raw == byte.class || raw == Byte.class) {
            return given == null ? Byte.parseByte(text) : given.byteValue();
        }
        if (raw == BigDecimal.class) {
            return new BigDecimal(text);
        }
        return raw == BigInteger.class ? new BigDecimal(text).toBigInteger() : null;
    }

    private static Object constant(Object json, String text, Class<?> raw) {
        Object[] all = raw.getEnumConstants();
        for (Object each : all) {
            if (((Enum<?>) each).name().equals(text) || json instanceof Integer && ((Enum<?>) each).ordinal() == (Integer) json) {
                return each;
            }
        }
        throw mismatch(raw, "\"" + text + "\": not one of the values accepted for Enum class: " + java.util.Arrays.toString(all));
    }

    /** By whatever the class has to be made from a text. */
    private static Object fromText(Object json, String text, Class<?> raw) throws ReflectiveOperationException {
        if (raw.getName().equals("java.time.Instant") && json instanceof Number) {
            BigDecimal seconds = new BigDecimal(text);
            return java.time.Instant.ofEpochSecond(seconds.longValue(), seconds.remainder(BigDecimal.ONE).movePointRight(9).longValue());
        }
        try {
            for (Class<?> parameter : new Class<?>[] {CharSequence.class, String.class}) {
                for (String name : new String[] {"parse", "valueOf", "fromString", "of"}) {
                    Method method = method(raw, name, parameter);
                    if (method != null && Modifier.isStatic(method.getModifiers()) && raw.isAssignableFrom(method.getReturnType())) {
                        return method.invoke(null, text);
                    }
                }
            }
            return raw.getConstructor(String.class).newInstance(text);
        } catch (NoSuchMethodException | InstantiationException e) {
            throw mismatch(raw, json instanceof String ? "a string" : "a number");
        } catch (InvocationTargetException e) {
            throw new IllegalArgumentException("Cannot deserialize value of type `" + raw.getName() + "` from \"" + text + "\"", e.getCause());
        }
    }

    private static Method method(Class<?> raw, String name, Class<?> parameter) {
        try {
            return raw.getMethod(name, parameter);
        } catch (NoSuchMethodException e) {
            return null;
        }
    }
}
