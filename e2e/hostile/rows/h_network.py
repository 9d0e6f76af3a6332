"""H. Network."""

from hostile.catalogue import absent, elsewhere, row
from hostile.world import METADATA, PORTS


@row("H01", "connect to the platform, in every spelling of its address", off="network-namespace", least="connected")
def h01(world):
    def attack(event, got):
        port = event["port"]
        spellings = ["127.0.0.1", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "::", "10.9.9.9", "fe80::1%lo", "169.254.169.254"]
        for name in spellings:
            if works(lambda: socket.create_connection((name, port), 1).close()):
                got.append(f"connected: {name}")

    return world.run(attack, {"port": world.server.port})


@row("H02", "reach metadata services", off="network-namespace", least="connected")
def h02(world):
    def attack(event, got):
        for name in [*event, "fd00:ec2::254", "metadata.google.internal", "100.100.100.200", "2852039166"]:
            if works(lambda: socket.create_connection((name, 80), 1).close()):
                got.append(f"connected: {name}")

    world.visits.clear()
    got = world.run(attack, METADATA)
    return got + [f"visited: {visit}" for visit in world.visits]


@row("H03", "reach stores and queues beside the platform", off="network-namespace", least="connected")
def h03(world):
    def attack(event, got):
        for port in event:
            for name in ("127.0.0.1", "10.9.9.9"):
                if works(lambda: socket.create_connection((name, port), 1).close()):
                    got.append(f"connected: {name}:{port}")

    world.visits.clear()
    got = world.run(attack, PORTS)
    return got + [f"visited: {visit}" for visit in world.visits]


@row("H04", "listen in on, spoof or scan neighbours", off="system-calls user", least="packets interface")
def h04(world):
    def attack(event, got):
        got += [f"there: {name}" for _, name in socket.if_nameindex() if name != "lo"]
        if works(socket.socket, socket.AF_PACKET, socket.SOCK_RAW):
            got.append("packets")
        with socket.socket() as sock:
            # The state that it has anyway.
            if works(fcntl.ioctl, sock, 0x8914, struct.pack("16sH22x", b"lo", 0x49)):
                got.append("interface: changed")

    return world.run(attack)


@row("H05", "send raw packets, multicast, advertisements", off="system-calls user", least="raw")
def h05(world):
    def attack(event, got):
        for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_INET, socket.SOCK_RAW, 255)):
            if works(socket.socket, family, kind, protocol):
                got.append(f"raw: {protocol}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for name in ("224.0.0.251", "255.255.255.255", "239.255.255.250"):
                if works(sock.sendto, b"x", (name, 5353)):
                    got.append(f"multicast: {name}")

    return world.run(attack)


@row("H09", "hold very many half sent answers, never read", control=lambda world: ["answered"] if world.call(world.client.list_functions) else [])
def h09(world):
    def attack(event, got):
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
        kept = []

        def send(n):
            sock = socket.create_connection((host, int(port)))
            sock.settimeout(1)
            path = f"/2018-06-01/runtime/invocation/{request}/{'response' if n % 2 else 'error'}"
            try:
                sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {6 << 20}\r\n\r\n".encode() + b"x" * ((6 << 20) - 1))
            except OSError:
                pass
            kept.append(sock)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)

    with world.growth() as grown:
        world.invoke(world.function(attack, MemorySize=1769))
    return [f"the server grew by {grown[0]} MB"] if grown[0] > 96 else []


@row("H11", "divert the platform's own calls by proxies and certificates in variables", why="the server never takes a function's variables for its own; no defence could be left out")
def h11(world):
    def attack(event, got):
        return "here"

    world.visits.clear()
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "SSL_CERT_FILE")
    variables = {name: "http://127.0.0.1:9000" for name in names}
    variables["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:9000"
    function = world.function(attack, Environment={"Variables": variables})
    assert world.ask(function)["said"] == "here"
    return [f"visited: {visit}" for visit in world.visits]


elsewhere("H01-nat", "the same with a way to the outside", "test_network.py::test_nothing_of_the_machine_is_reached")
absent({"H13": "sockets to the virtual machine's host"}, "microVMs are not offered; AF_VSOCK is refused (C04)")
elsewhere("H12", "smuggle requests and headers through a function's URL", "test_urls.py::test_a_function_lies_about_the_connection_in_vain", "test_urls.py::test_two_requests_are_never_read_out_of_one", "test_urls.py::test_what_fails_is_a_bad_gateway", "test_urls.py::test_hosts_that_strangers_could_point_here_are_refused")
elsewhere("H06", "flood the resolver", "crates/worker/src/names.rs::a_second_has_so_many_questions")
elsewhere("H08", "flood the network", "crates/sandbox/tests/sandbox/network.rs::both_ends_of_a_link_are_limited")
elsewhere("H10", "send mail", "crates/sandbox/tests/sandbox/network.rs::mail_between_servers_goes_nowhere")
elsewhere("H07", "exhaust the network's table of connections", "crates/sandbox/tests/sandbox/network.rs::an_environment_cannot_fill_the_machines_memory_of_connections")
