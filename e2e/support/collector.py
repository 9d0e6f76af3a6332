"""A collector of spans: what OTLP's own definitions read of each request."""

import http.server
import threading
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


class Collector:
    """What came; `refuse` is how many requests are refused first, with this status."""

    def __init__(self):
        self.requests, self.refuse, self.status = [], 0, 503

    def spans(self):
        """Each span with its resource's attributes."""
        found = []
        for request in list(self.requests):
            for of_resource in request.resource_spans:
                resource = attributes(of_resource.resource.attributes)
                found += [Span(resource, scope.scope.name, span) for scope in of_resource.scope_spans for span in scope.spans]
        return found


class Span:
    def __init__(self, resource, scope, span):
        self.resource, self.scope, self.attributes = resource, scope, attributes(span.attributes)
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.name, self.kind = span.name, span.Kind.Name(span.kind) if hasattr(span, "Kind") else span.kind
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.error = span.status.message if span.status.code == 2 else None
        self.events = [Event(event) for event in span.events]

    def __repr__(self):
        return f"{self.name} {self.id} below {self.parent or 'nothing'}"


class Event:
    def __init__(self, event):
        self.name, self.at, self.attributes = event.name, event.time_unix_nano, attributes(event.attributes)


def attributes(pairs):
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), "a key is there twice"
    return found


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any_value.array_value.values]
    return getattr(any_value, kind)


@contextmanager
def collecting():
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            status = 200
            if collector.refuse > 0:
                collector.refuse, status = collector.refuse - 1, collector.status
            else:
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
