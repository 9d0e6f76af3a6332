package hearth.runtime;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** One kept-alive connection to the Runtime API. A message is one write; answers always have a Content-Length. */
final class RuntimeApi {
    static final byte[] NEXT =
            ascii("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n");

    /** An answer: its status, its headers by lower-case name, its body. */
    static final class Answer {
        int status;
        final Map<String, String> headers = new HashMap<>();
        byte[] body;
    }

    private final InputStream input;
    private final OutputStream output;
    private byte[] data = new byte[65536];
    private int filled;

    RuntimeApi(String address) throws IOException {
        int colon = address.lastIndexOf(':');
        Socket socket = new Socket(InetAddress.getByName(address.substring(0, colon)), Integer.parseInt(address.substring(colon + 1)));
        socket.setTcpNoDelay(true);
        input = socket.getInputStream();
        output = socket.getOutputStream();
    }

    void send(byte[] message) throws IOException {
        output.write(message);
    }

    Answer receive() throws IOException {
        int end;
        while ((end = headEnd()) < 0) {
            fill();
        }
        Answer answer = new Answer();
        String head = new String(data, 0, end, StandardCharsets.UTF_8);
        int line = head.indexOf("\r\n");
        answer.status = Integer.parseInt(head.substring(9, 12));
        while (line >= 0) {
            int start = line + 2;
            line = head.indexOf("\r\n", start);
            String header = line < 0 ? head.substring(start) : head.substring(start, line);
            int colon = header.indexOf(':');
            answer.headers.put(header.substring(0, colon).toLowerCase(java.util.Locale.ROOT), header.substring(colon + 1).trim());
        }
        String length = answer.headers.get("content-length");
        int bytes = length == null ? 0 : Integer.parseInt(length);
        int start = end + 4;
        while (filled < start + bytes) {
            fill();
        }
        answer.body = java.util.Arrays.copyOfRange(data, start, start + bytes);
        filled -= start + bytes;
        System.arraycopy(data, start + bytes, data, 0, filled);
        if (data.length > 1 << 20) {
            data = java.util.Arrays.copyOf(data, Math.max(65536, filled));
        }
        return answer;
    }

    private int headEnd() {
        for (int i = 0; i + 3 < filled; i++) {
            if (data[i] == '\r' && data[i + 1] == '\n' && data[i + 2] == '\r' && data[i + 3] == '\n') {
                return i;
            }
        }
        return -1;
    }

    private void fill() throws IOException {
        if (filled == data.length) {
            data = java.util.Arrays.copyOf(data, data.length * 2);
        }
        int count = input.read(data, filled, data.length - filled);
        if (count < 0) {
            throw new EOFException("the Runtime API closed the connection");
        }
        filled += count;
    }

    /** The bytes of a POST below /runtime/. */
    static byte[] post(String path, byte[] body, String headers) {
        byte[] head = ascii("POST /2018-06-01/runtime/" + path + " HTTP/1.1\r\nHost: runtime\r\nContent-Type: application/json\r\n"
                + headers + "Content-Length: " + body.length + "\r\n\r\n");
        return join(head, body);
    }

    static byte[] join(byte[] one, byte[] other) {
        byte[] both = java.util.Arrays.copyOf(one, one.length + other.length);
        System.arraycopy(other, 0, both, one.length, other.length);
        return both;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
