/* A function in C that speaks the Runtime API itself: it answers with the event that it got, and counts. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 7 << 20 }; /* The largest event, and its head. */

static char buffer[MOST];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Connects to host:port. */
static int dial(const char *address) {
    char host[64];
    const char *colon = strrchr(address, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, host, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    return fd;
}

static void send_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t sent = write(fd, data, length);
        if (sent <= 0) fail("write");
        data += sent;
        length -= sent;
    }
}

/* The value of a header, up to the end of its line. */
static const char *header(const char *head, const char *name) {
    const char *line = strcasestr(head, name);
    if (line == NULL) return "";
    line += strlen(name);
    return line + strspn(line, " ");
}

/* Reads one answer into the buffer; where its body starts. */
static char *receive(int fd, size_t *length) {
    size_t filled = 0;
    char *end;
    do {
        ssize_t got = read(fd, buffer + filled, MOST - 1 - filled);
        if (got <= 0) fail("read");
        filled += got;
        buffer[filled] = 0;
    } while ((end = strstr(buffer, "\r\n\r\n")) == NULL);
    *length = strtoul(header(buffer, "\r\ncontent-length:"), NULL, 10);
    char *body = end + 4;
    while (filled < (body - buffer) + *length) {
        ssize_t got = read(fd, buffer + filled, MOST - 1 - filled);
        if (got <= 0) fail("read");
        filled += got;
    }
    return body;
}

int main(void) {
    static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n";
    int fd = dial(getenv("AWS_LAMBDA_RUNTIME_API"));
    for (int count = 1;; count++) {
        size_t length;
        send_all(fd, next, sizeof next - 1);
        char *event = receive(fd, &length);
        char id[40] = "", start[64], head[256];
        sscanf(header(buffer, "\r\nlambda-runtime-aws-request-id:"), "%39[^\r]", id);
        printf("event %d has %zu bytes\n", count, length);
        fflush(stdout);
        int before = snprintf(start, sizeof start, "{\"count\":%d,\"echo\":", count);
        int size = snprintf(head, sizeof head,
                            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: runtime\r\n"
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                            id, before + length + 1);
        send_all(fd, head, size);
        send_all(fd, start, before);
        send_all(fd, event, length);
        send_all(fd, "}", 1);
        receive(fd, &length);
    }
}
