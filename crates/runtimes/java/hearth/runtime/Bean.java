package hearth.runtime;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What of a class's values is JSON: getters, setters, public fields, a record's components. */
final class Bean {
    /** One member of the object. */
    static final class Property {
        final String name;
        private Field field;
        private Method getter;
        private Method setter;

        private Property(String name) {
            this.name = name;
        }

        boolean isRead() {
            return getter != null || field != null && Modifier.isPublic(field.getModifiers());
        }

        /** Of values given to it; null where it takes none. */
        Type type() {
            if (setter != null) {
                return setter.getGenericParameterTypes()[0];
            }
            return field != null && (isRead() || getter != null) ? field.getGenericType() : null;
        }

        Object get(Object owner) throws ReflectiveOperationException {
            return getter != null ? getter.invoke(owner) : field.get(owner);
        }

        void set(Object owner, Object value) throws ReflectiveOperationException {
            if (setter != null) {
                setter.invoke(owner, value);
            } else {
                field.set(owner, value);
            }
        }
    }

    private static final Map<Class<?>, Bean> KNOWN = new HashMap<>();

    final Map<String, Property> properties = new LinkedHashMap<>();
    private final Map<String, Property> folded = new HashMap<>();
    private final Class<?> type;
    /** Makes one from all its components at once, in the order of the properties; null where it is no record. */
    Constructor<?> canonical;

    static synchronized Bean of(Class<?> type) {
        Bean bean = KNOWN.get(type);
        if (bean == null) {
            bean = new Bean(type);
            KNOWN.put(type, bean);
        }
        return bean;
    }

    private Bean(Class<?> type) {
        this.type = type;
        Class<?> parent = type.getSuperclass();
        if (parent != null && parent.getName().equals("java.lang.Record")) {
            record();
        } else {
            fields(type);
            for (Method method : type.getMethods()) {
                method(method);
            }
        }
        List<Property> unseen = new ArrayList<>();
        for (Property property : properties.values()) {
            if (!property.isRead() && property.setter == null) {
                unseen.add(property);
            }
        }
        for (Property property : unseen) {
            properties.remove(property.name);
        }
        for (Property property : properties.values()) {
            folded.put(fold(property.name), property);
        }
    }

    /** The property for a member's name: of that name, else of one that differs in case and hyphens only, as those of
     * the events of AWS's services do. */
    Property find(String name) {
        Property property = properties.get(name);
        return property != null ? property : folded.get(fold(name));
    }

    Object make() throws ReflectiveOperationException {
        try {
            Constructor<?> constructor = type.getDeclaredConstructor();
            open(constructor);
            return constructor.newInstance();
        } catch (NoSuchMethodException e) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName() + "` (no Creators, like default constructor, exist)");
        }
    }

    private static String fold(String name) {
        return name.toLowerCase(Locale.ROOT).replace("-", "");
    }

    private Property property(String name) {
        Property property = properties.get(name);
        if (property == null) {
            property = new Property(name);
            properties.put(name, property);
        }
        return property;
    }

    private void fields(Class<?> from) {
        if (from == null || from == Object.class) {
            return;
        }
        fields(from.getSuperclass());
        for (Field field : from.getDeclaredFields()) {
            int modifiers = field.getModifiers();
            if (!Modifier.isStatic(modifiers) && !Modifier.isTransient(modifiers) && !field.isSynthetic()) {
                open(field);
                property(field.getName()).field = field;
            }
        }
    }

    private void method(Method method) {
        if (Modifier.isStatic(method.getModifiers()) || method.isBridge() || method.getDeclaringClass() == Object.class) {
            return;
        }
        String name = method.getName();
        int parameters = method.getParameterTypes().length;
        Class<?> result = method.getReturnType();
        if (parameters == 0 && result != void.class && name.startsWith("get") && name.length() > 3) {
            open(method);
            property(plain(name.substring(3))).getter = method;
        } else if (parameters == 0 && result == boolean.class && name.startsWith("is") && name.length() > 2) {
            open(method);
            property(plain(name.substring(2))).getter = method;
        } else if (parameters == 1 && name.startsWith("set") && name.length() > 3) {
            open(method);
            property(plain(name.substring(3))).setter = method;
        }
    }

    /** `URLPath` is `urlpath`: all leading capitals become small. A field that is called the usual way goes before. */
    private String plain(String name) {
        String usual = Character.toLowerCase(name.charAt(0)) + name.substring(1);
        if (properties.containsKey(usual)) {
            return usual;
        }
        int capitals = 0;
        while (capitals < name.length() && Character.isUpperCase(name.charAt(capitals))) {
            capitals++;
        }
        return name.substring(0, capitals).toLowerCase(Locale.ROOT) + name.substring(capitals);
    }

    /** By reflection: the classes of records are newer than the oldest runtime. */
    private void record() {
        try {
            Object[] components = (Object[]) Class.class.getMethod("getRecordComponents").invoke(type);
            Class<?>[] types = new Class<?>[components.length];
            for (int i = 0; i < components.length; i++) {
                String name = (String) components[i].getClass().getMethod("getName").invoke(components[i]);
                Field field = type.getDeclaredField(name);
                Property property = property(name);
                types[i] = field.getType();
                property.field = field;
                property.getter = type.getDeclaredMethod(name);
                open(property.getter);
            }
            canonical = type.getDeclaredConstructor(types);
            open(canonical);
        } catch (InvocationTargetException | NoSuchMethodException | NoSuchFieldException | IllegalAccessException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** Some of the platform's own stay closed, and then fail where they are used. */
    private static void open(AccessibleObject object) {
        try {
            object.setAccessible(true);
        } catch (RuntimeException e) {
            return;
        }
    }
}
