"""What curl does not do: halves, pipelines, broken chunks, other users, many
connections.  serve_raw.py SOCKET PID"""
import json, os, resource, socket, sys, time

path, pid = sys.argv[1], int(sys.argv[2])
failed = 0


def fail(text):
    global failed
    failed = 1
    print("FAILED:", text, file=sys.stderr)


def connect():
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(20)
    made.connect(path)
    return made


def read_all(conn):
    got = b""
    while True:
        try:
            more = conn.recv(65536)
        except ConnectionResetError:
            break
        if not more:
            break
        got += more
    return got


def raw(request):
    with connect() as conn:
        conn.sendall(request)
        return read_all(conn)


def expect(what, answer, status):
    line = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if not line.startswith("HTTP/1.1 %d " % status):
        fail("%s: %r" % (what, answer[:200]))


CLOSE = b"Host: u\r\nConnection: close\r\n"
GOOD = b"GET /v1/health HTTP/1.1\r\n" + CLOSE + b"\r\n"

expect("good", raw(GOOD), 200)
expect("no host", raw(b"GET /v1/health HTTP/1.1\r\n\r\n"), 400)
expect("no version", raw(b"GET /v1/health\r\n\r\n"), 400)
expect("rubbish", raw(b"rubbish it is\r\n\r\n"), 400)
# What does not even look like a request is dropped when its time is over.
silent = []
for rubbish in (b"\x00\x01\x02\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""):
    silent.append(connect())
    silent[-1].sendall(rubbish)
expect("long line", raw(b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\n\r\n"), 414)
expect("long header", raw(b"GET / HTTP/1.1\r\nHost: u\r\nX: " + b"x" * 200000 + b"\r\n\r\n"), 431)
expect("decoded", raw(b"GET /v1/%68ealth HTTP/1.1\r\n" + CLOSE + b"\r\n"), 200)
expect("NUL", raw(b"GET /v1/health%00x HTTP/1.1\r\n" + CLOSE + b"\r\n"), 200)
expect("dots", raw(b"GET /v1/../v1/health HTTP/1.1\r\n" + CLOSE + b"\r\n"), 404)
head = raw(b"HEAD /v1/df HTTP/1.1\r\n" + CLOSE + b"\r\n")
expect("HEAD", head, 200)
if not head.endswith(b"\r\n\r\n"):
    fail("HEAD has a body")
for method in (b"PUT", b"PATCH", b"OPTIONS", b"BREW"):
    expect(method.decode(), raw(method + b" /v1/df HTTP/1.1\r\n" + CLOSE + b"\r\n"), 405)

chunked = b"POST /v1/gc HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
expect("chunked", raw(chunked + b'5\r\n{"dry\r\n0d\r\n_run":true   \r\n1\r\n}\r\n0\r\n\r\n'), 200)
expect("wrong chunk", raw(chunked + b"zz\r\n{}\r\n0\r\n\r\n"), 400)

# A body that never comes whole is never carried out.
half = b"POST /v1/prune HTTP/1.1\r\nHost: u\r\nContent-Length: 100\r\n\r\n{\"all\":true}"
with connect() as conn:
    conn.sendall(half)
time.sleep(0.2)

# Pipelined: the answers come in order.
with connect() as conn:
    conn.sendall(b"GET /v1/df HTTP/1.1\r\nHost: u\r\n\r\n" * 3 + GOOD)
    answers = read_all(conn)
if answers.count(b"HTTP/1.1 200 OK") != 4:
    fail("pipelined: %d answers" % answers.count(b"HTTP/1.1 200 OK"))
if answers.rfind(b'"status":"serving"') < answers.rfind(b'"classes"'):
    fail("pipelined: in another order")


# One that asks and leaves.
for _ in range(20):
    with connect() as conn:
        conn.sendall(b"GET /v1/df?measure HTTP/1.1\r\nHost: u\r\n\r\n")
expect("after those that left", raw(GOOD), 200)


def as_user(user, group, request):
    """The answer that another user gets."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        try:
            os.write(writing, raw(request)[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    answer = b""
    while more := os.read(reading, 4096):
        answer += more
    os.close(reading)
    os.waitpid(child, 0)
    return answer


if os.getuid() == 0:
    df = b"GET /v1/df HTTP/1.1\r\n" + CLOSE + b"\r\n"
    gc = b"POST /v1/gc HTTP/1.1\r\n" + CLOSE + b"Content-Length: 0\r\n\r\n"
    nobody = 65534
    expect("nobody reads", as_user(nobody, nobody, df), 200)
    answer = as_user(nobody, nobody, gc)
    expect("nobody collects", answer, 403)
    if b'user 65534 may not change anything; \\"change\\" in the configuration' not in answer:
        fail("nobody collects: %r" % answer)
    expect("a stranger reads", as_user(4300, 4300, df), 403)
    expect("a stranger asks for nothing", as_user(4300, 4300, b"GET /v1/x HTTP/1.1\r\n" + CLOSE + b"\r\n"), 403)
    expect("one of the group collects", as_user(4301, 4242, gc), 200)
else:
    fail("not root: rights were not tried")


def service_memory_bytes():
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024


def descriptors():
    return len(os.listdir("/proc/%d/fd" % pid))


# A thousand connections, most of them silent; then none.
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
before = descriptors()
idle = [connect() for _ in range(1000)]
expect("beside a thousand", raw(GOOD), 200)
counted = json.loads(raw(GOOD).split(b"\r\n\r\n", 1)[1])["connections"]
if counted < 1000:
    fail("a thousand connections: %d" % counted)
for conn in idle:
    conn.sendall(b"GET /v1/health HTTP/1.1\r\nHost: u\r\n\r\n")
if any(not conn.recv(65536).startswith(b"HTTP/1.1 200") for conn in idle):
    fail("not all of a thousand were answered")
memory = service_memory_bytes()
if memory > 256 << 20:
    fail("%d bytes of memory with a thousand connections" % memory)
for conn in idle:
    conn.close()
for _ in range(100):
    if descriptors() <= before + 4:
        break
    time.sleep(0.1)
else:
    fail("%d descriptors, %d before" % (descriptors(), before))
print("a thousand connections: %.1f MB" % (memory / 1e6))

for conn in silent:
    if read_all(conn):
        fail("rubbish was answered")

# More at once than may wait: the rest is told to come again.
crowd = [connect() for _ in range(300)]
for conn in crowd:
    conn.sendall(b"GET /v1/df?measure HTTP/1.1\r\n" + CLOSE + b"\r\n")
statuses = [read_all(conn)[9:12] for conn in crowd]
if set(statuses) - {b"200", b"503"} or b"200" not in statuses:
    fail("a crowd: %s" % set(statuses))
print("a crowd: %d answered, %d told to come again" % (statuses.count(b"200"), statuses.count(b"503")))
sys.exit(failed)
