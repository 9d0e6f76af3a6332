package hearth.runtime;

import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.util.HashMap;
import java.util.Map;

/** What type variables stand for. */
final class Types {
    static final Map<TypeVariable<?>, Type> NONE = new HashMap<>();

    private Types() {}

    /** The type without variables at its outside. */
    static Type resolved(Type type, Map<TypeVariable<?>, Type> bound) {
        if (type instanceof TypeVariable) {
            Type known = bound.get(type);
            return known != null && known != type ? resolved(known, bound) : resolved(((TypeVariable<?>) type).getBounds()[0], bound);
        }
        if (type instanceof WildcardType) {
            return resolved(((WildcardType) type).getUpperBounds()[0], bound);
        }
        return type;
    }

    static Class<?> raw(Type type) {
        if (type instanceof Class) {
            return (Class<?>) type;
        }
        if (type instanceof ParameterizedType) {
            return (Class<?>) ((ParameterizedType) type).getRawType();
        }
        if (type instanceof GenericArrayType) {
            Class<?> element = raw(((GenericArrayType) type).getGenericComponentType());
            return java.lang.reflect.Array.newInstance(element, 0).getClass();
        }
        return Object.class;
    }

    /** The variables of a type's own class and of the classes above it. */
    static Map<TypeVariable<?>, Type> bindings(Type type, Map<TypeVariable<?>, Type> outer) {
        Map<TypeVariable<?>, Type> bound = new HashMap<>(outer);
        collect(type, bound);
        return bound;
    }

    private static void collect(Type type, Map<TypeVariable<?>, Type> bound) {
        if (type == null) {
            return;
        }
        Class<?> raw = raw(type);
        if (type instanceof ParameterizedType) {
            Type[] given = ((ParameterizedType) type).getActualTypeArguments();
            TypeVariable<?>[] names = raw.getTypeParameters();
            for (int i = 0; i < names.length; i++) {
                if (given[i] != names[i]) {
                    bound.put(names[i], given[i] instanceof TypeVariable ? resolved(given[i], bound) : given[i]);
                }
            }
        }
        collect(raw.getGenericSuperclass(), bound);
        for (Type above : raw.getGenericInterfaces()) {
            collect(above, bound);
        }
    }

    /** What the n-th parameter of a generic class or interface above `type` stands for; Object where nobody says. */
    static Type argument(Type type, Class<?> generic, int n, Map<TypeVariable<?>, Type> outer) {
        return resolved(generic.getTypeParameters()[n], bindings(type, outer));
    }
}
