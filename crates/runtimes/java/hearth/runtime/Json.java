package hearth.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads JSON into maps, lists, strings, numbers, booleans and null. Numbers are the smallest of Integer, Long,
 * BigInteger, or Double. */
final class Json {
    /** Deeper than any event: a stack overflow is no error message. */
    private static final int DEPTH = 1000;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    static Object parse(String text) {
        Json json = new Json(text);
        json.space();
        Object value = json.value();
        json.space();
        if (json.at < text.length()) {
            throw json.unexpected();
        }
        return value;
    }

    private Object value() {
        if (at >= text.length()) {
            throw new IllegalArgumentException("Unexpected end-of-input");
        }
        char c = text.charAt(at);
        switch (c) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        enter();
        if (skip('}')) {
            return map;
        }
        do {
            space();
            if (at >= text.length() || text.charAt(at) != '"') {
                throw unexpected();
            }
            String name = string();
            space();
            if (!skip(':')) {
                throw unexpected();
            }
            space();
            map.put(name, value());
            space();
        } while (skip(','));
        leave('}');
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        enter();
        if (skip(']')) {
            return list;
        }
        do {
            space();
            list.add(value());
            space();
        } while (skip(','));
        leave(']');
        return list;
    }

    private void enter() {
        at++;
        if (++depth > DEPTH) {
            throw new IllegalArgumentException("Document nesting depth exceeds the maximum allowed (" + DEPTH + ")");
        }
        space();
        char c = at < text.length() ? text.charAt(at) : 0;
        if (c == '}' || c == ']') {
            depth--;
        }
    }

    private void leave(char end) {
        if (!skip(end)) {
            throw unexpected();
        }
        depth--;
    }

    private boolean skip(char c) {
        if (at < text.length() && text.charAt(at) == c) {
            at++;
            return true;
        }
        return false;
    }

    private void space() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw unexpected();
        }
        at += word.length();
        return value;
    }

    private String string() {
        int start = ++at;
        StringBuilder out = null;
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out == null ? text.substring(start, at - 1) : out.toString();
            }
            if (c == '\\') {
                if (out == null) {
                    out = new StringBuilder(text.substring(start, at - 1));
                }
                out.append(escaped());
            } else if (out != null) {
                out.append(c);
            }
        }
        throw new IllegalArgumentException("Unexpected end-of-input in a string");
    }

    private char escaped() {
        char c = at < text.length() ? text.charAt(at++) : 0;
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case '"':
            case '\\':
            case '/':
                return c;
            case 'u':
                if (at + 4 <= text.length()) {
                    at += 4;
                    return (char) Integer.parseInt(text.substring(at - 4, at), 16);
                }
                throw unexpected();
            default:
                throw unexpected();
        }
    }

    private Object number() {
        int start = at;
        boolean whole = true;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '.' || c == 'e' || c == 'E') {
                whole = false;
            } else if (c != '-' && c != '+' && (c < '0' || c > '9')) {
                break;
            }
            at++;
        }
        String digits = text.substring(start, at);
        try {
            if (!whole) {
                return Double.valueOf(digits);
            }
            if (digits.length() < 19) {
                long value = Long.parseLong(digits);
                if (value == (int) value) {
                    return (int) value;
                }
                return value;
            }
            BigInteger big = new BigInteger(digits);
            if (big.bitLength() < 64) {
                return big.longValue();
            }
            return big;
        } catch (NumberFormatException e) {
            at = start;
            throw unexpected();
        }
    }

    private IllegalArgumentException unexpected() {
        String what = at < text.length() ? "Unexpected character ('" + text.charAt(at) + "')" : "Unexpected end-of-input";
        return new IllegalArgumentException(what + " at offset " + at);
    }

    /** Writes a string with its quotes. */
    static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c >= ' ') {
                out.append(c);
            } else {
                control(c, out);
            }
        }
        out.append('"');
    }

    private static void control(char c, StringBuilder out) {
        int short_ = "\b\f\n\r\t".indexOf(c);
        if (short_ >= 0) {
            out.append('\\').append("bfnrt".charAt(short_));
        } else {
            out.append("\\u00").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
        }
    }

    /** A number as JSON has it. */
    static String number(Number value) {
        if (value instanceof BigDecimal) {
            return value.toString();
        }
        double real = value.doubleValue();
        boolean none = Double.isNaN(real) || Double.isInfinite(real);
        return none && !(value instanceof BigInteger) ? '"' + value.toString() + '"' : value.toString();
    }
}
