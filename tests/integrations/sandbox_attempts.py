"""What hostile code tries. Each attempt is a snippet; `result` must never hold what it was after.

Globals that every snippet finds: `canary` (a file outside with a secret), `outside` (its folder), `port`, `unix` and
`abstract` (listening sockets of the test), `parent` and `victim` (process ids), `own` (a folder of Assay's source),
`site` (a package folder). `took(f)` runs `f` and returns "ESCAPED" if it raised no OSError or ValueError.

`OPEN` are the attempts that resource limits and the filter of system calls cannot stop, each with the reason;
`OPEN_TO_ROOT` those that they stop for an ordinary user only. They are not run at that level.
"""

PRELUDE = """
print('began', flush=True)
import ctypes, os, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def took(f, *args):
    try:
        f(*args)
    except (OSError, ValueError):
        return "held"
    return "ESCAPED"
def called(number):
    return "ESCAPED" if number >= 0 else "held"
def quiet(f, *args):
    try:
        return f(*args)
    except OSError:
        pass
"""

NETWORK = {
    "tcp to another machine": "result = took(socket.create_connection, ('192.0.2.1', 80), 0.2)",
    "tcp to the test's own server": "result = took(socket.create_connection, ('127.0.0.1', port), 0.2)",
    "tcp over IPv6 loopback": "result = took(socket.create_connection, ('::1', port), 0.2)",
    "udp to a name server": (
        "result = took(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)))"
    ),
    "dns": "result = took(socket.getaddrinfo, 'example.org', 80)",
    "unix socket of the host": "result = took(lambda: socket.socket(socket.AF_UNIX).connect(unix))",
    "abstract unix socket": "result = took(lambda: socket.socket(socket.AF_UNIX).connect('\\0' + abstract))",
    "raw socket": "result = took(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    "packet socket": "result = took(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    "socket to the hypervisor": "result = took(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "crypto socket": "result = took(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))",
    "descriptors left open": """
junk = b'\\0' * 16 + b'junk'
result = [fd for fd in range(3, 250) if quiet(os.fstat, fd)]
for fd in result: quiet(os.write, fd, junk)
result = len(result)
""",
}

READING = {
    "the canary": "result = open(canary).read()",
    "the canary by a command": "result = subprocess.run(['cat', canary], capture_output=True, text=True).stdout",
    "shadow": "result = 'ESCAPED' if open('/etc/shadow').read() else ''",
    "home folders": "result = 'ESCAPED' if os.path.exists(outside) or os.listdir('/home') else ''",
    "a link to the canary": "os.symlink(canary, 'link'); result = open('link').read()",
    "a hard link to the canary": "os.link(canary, 'hard'); result = open('hard').read()",
    "the root of this process": "result = open('/proc/self/root' + canary).read()",
    "the root of the first process": "result = open('/proc/1/root' + canary).read()",
    "up from the working folder": "result = open('../' * 30 + canary).read()",
    "up from /proc/self/cwd": "result = open('/proc/self/cwd/' + '../' * 30 + canary).read()",
    "environment of the first process": "result = open('/proc/1/environ', 'rb').read().decode()",
    "environment of the parent": "result = open(f'/proc/{parent}/environ', 'rb').read().decode()",
    "every environment": """
result = ''
for name in os.listdir('/proc'):
    if name.isdigit():
        try: result += open(f'/proc/{name}/environ').read()
        except OSError: pass
""",
    "memory of the parent": "result = took(open, f'/proc/{parent}/mem', 'rb')",
    "descriptors of the parent": "result = took(os.listdir, f'/proc/{parent}/fd')",
    "memory of the first process": "result = took(open, '/proc/1/mem', 'rb') if os.getpid() < 9 else 'held'",
    "descriptors of the first process": "result = took(os.listdir, '/proc/1/fd')",
    "handle of a file": "result = called(libc.syscall(304, -100, ctypes.create_string_buffer(64), 0))",
    "physical memory": "result = took(open, '/dev/mem', 'rb')",
    "kernel memory": "result = took(lambda: open('/proc/kcore', 'rb').read(9))",
    "the disk itself": "result = [took(open, '/dev/' + n, 'rb') for n in ('vda', 'sda', 'nvme0n1')]",
    "kernel log": "result = called(libc.klogctl(3, ctypes.create_string_buffer(64), 64))",
    "session keyring": "result = called(libc.syscall(250, 0, -3, 0))",
    "environment of its own": "result = dict(os.environ)",
    "environment of a child": "result = subprocess.run(['env'], capture_output=True, text=True).stdout",
    "source of the harness": "result = 'ESCAPED' if os.path.exists(own) else ''",
    "import of the harness": "import assay.worlds; result = 'ESCAPED'",
    "inputs of other runs": """
result = ''
for top in ('/tmp', '/var/tmp', '/dev/shm', '/box'):
    for folder, _, names in os.walk(top):
        for name in names:
            try: result += open(os.path.join(folder, name), errors='replace').read(1000)
            except OSError: pass
""",
}

WRITING = {
    "the canary": "result = took(open, canary, 'w')",
    "appending to the canary": "result = took(open, canary, 'a')",
    "truncating the canary": "result = took(os.truncate, canary, 0)",
    "removing the canary": "result = took(os.remove, canary)",
    "renaming the canary": "result = took(os.rename, canary, canary + '2')",
    "rights of the canary": "result = took(os.chmod, canary, 0)",
    "a new file beside the canary": "result = took(open, outside + '/new', 'w')",
    "through a link": "os.symlink(outside, 'link'); result = took(open, 'link/new', 'w')",
    "site-packages": "result = took(open, site + '/evil.pth', 'w')",
    "the interpreter": "result = took(open, os.path.realpath(sys.executable), 'r+b')",
    "the standard library": "result = took(open, os.__file__, 'a')",
    "system programs": "result = took(open, '/usr/bin/evil', 'w')",
    "etc": "result = took(open, '/etc/evil', 'w')",
    "root folder": "result = took(open, '/evil', 'w')",
    "core pattern": "result = took(open, '/proc/sys/kernel/core_pattern', 'r+')",
    "sysrq": "result = took(open, '/proc/sysrq-trigger', 'w')",
    "control groups": "result = took(open, '/sys/fs/cgroup/cgroup.procs', 'w')",
    "device nodes": "result = took(os.mknod, 'disk', 0o60666, os.makedev(254, 0))",
}

PROCESSES = {
    "killing the parent": "result = took(os.kill, parent, 9)",
    "stopping the parent": "result = took(os.kill, parent, signal.SIGSTOP)",
    "killing a stranger": "result = took(os.kill, victim, 9)",
    "killing everyone": "signal.signal(15, signal.SIG_IGN); quiet(os.kill, -1, 15); result = 1",
    "killing the group": "quiet(os.kill, 0, 9); time.sleep(0.1); result = 1",
    "killing the first process": "quiet(os.kill, os.getppid(), 9); time.sleep(0.1); result = 1",
    "stopping the first process": "quiet(os.kill, os.getppid(), signal.SIGSTOP); result = 1",
    "signal by pidfd": "result = took(lambda: signal.pidfd_send_signal(os.pidfd_open(victim), 9))",
    "tracing the parent": "result = called(libc.ptrace(16, parent, 0, 0))",
    "tracing the first process": "result = called(libc.ptrace(16, os.getppid(), 0, 0))",
    "writing the parent's memory": "result = called(libc.process_vm_writev(parent, None, 0, None, 0, 0))",
    "limits of the parent": "import resource; result = took(resource.prlimit, parent, resource.RLIMIT_NOFILE, (9, 9))",
    "deaf to signals": """
for n in range(1, 32):
    quiet(signal.signal, n, signal.SIG_IGN) if n not in (9, 19) else None
while True: pass
""",
    "a daemon that forks twice": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '8765.4321'])
    os._exit(0)
time.sleep(0.1); result = 1
""",
    "a daemon that holds the output": "subprocess.Popen(['sleep', '8765.4321'], start_new_session=True); result = 1",
    "a daemon that waits for its parent's death": """
if os.fork() == 0:
    os.setsid(); libc.prctl(1, 0); [quiet(os.close, fd) for fd in range(250)]
    while True: time.sleep(0.01)
os._exit(0)
""",
    "a thread that goes on": "threading.Thread(target=lambda: time.sleep(99)).start(); result = 1",
    "a nohup shell": "os.system('nohup setsid sleep 8765.4321 >/dev/null 2>&1 &'); result = 1",
}

PRIVILEGES = {
    "raising limits": "import resource; result = took(resource.setrlimit, resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "raising the number of processes": (
        "import resource; result = took(resource.setrlimit, resource.RLIMIT_NPROC, (99999, 99999))"
    ),
    "becoming root": "result = took(os.setresuid, 0, 0, 0)",
    "setuid programs": """
result = ''
for words in (['su', '-c', 'id -u'], ['sudo', '-n', 'id', '-u']):
    try: result += subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1).stdout
    except (OSError, subprocess.TimeoutExpired): pass
result = 'ESCAPED' if '0' in result.split() else ''
""",
    "mounting": "result = called(libc.mount(b'tmpfs', b'.', b'tmpfs', 0, None))",
    "unmounting": "result = called(libc.umount2(b'/usr', 2))",
    "making the view writable": "result = called(libc.mount(None, b'/usr', None, 32 | 4096, None))",
    "chroot": "result = took(os.chroot, '.')",
    "a namespace of its own": "result = called(libc.unshare(0x10000000))",
    "a namespace by clone": "result = called(libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0))",
    "the parent's namespaces": (
        "result = took(lambda: called(libc.setns(os.open(f'/proc/{parent}/ns/mnt', 0), 0)) == 'held' and int('x'))"
    ),
    "io_uring": "result = called(libc.syscall(425, 8, ctypes.create_string_buffer(128)))",
    "bpf": "result = called(libc.syscall(321, 0, ctypes.create_string_buffer(128), 64))",
    "host name": "result = called(libc.sethostname(b'evil', 4))",
    "clock": "result = took(time.clock_settime, time.CLOCK_REALTIME, 0)",
}

RESOURCES = {
    "fork bomb": """
while True:
    try: os.fork()
    except OSError: time.sleep(0.01)
""",
    "fork bomb of new sessions": """
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: time.sleep(0.01)
""",
    "thread bomb": """
while True:
    try: threading.Thread(target=time.sleep, args=(99,)).start()
    except RuntimeError: time.sleep(0.01)
""",
    "memory balloon": "result = len(bytearray(1 << 33))",
    "memory in many processes": """
for _ in range(8):
    if os.fork() == 0:
        block = bytearray(b'x' * (60 << 20)); time.sleep(99)
time.sleep(99)
""",
    "memory that no mapping shows": "result = took(lambda: os.truncate(os.memfd_create('x'), 1 << 33))",
    "shared memory of the old kind": "result = called(libc.shmget(0, 1 << 30, 0o1600))",
    "shared mapping": "import mmap; m = mmap.mmap(-1, 1 << 33); result = 'ESCAPED'",
    "one large file": """
with open('big', 'wb') as file:
    for _ in range(2000): file.write(b'x' * (1 << 20))
result = 'ESCAPED'
""",
    "a file that claims a terabyte": "result = took(os.truncate, open('big', 'wb').name, 1 << 40)",
    "many small files": """
for i in range(10**7):
    open(f'f{i}', 'w').close()
""",
    "disk fill elsewhere": """
for place in ('/tmp', '/dev/shm'):
    for i in range(9):
        quiet(lambda: open(f'{place}/big{i}', 'wb').write(b'x' * (100 << 20)))
result = sum(os.path.getsize(f'{p}/big{i}') for p in ('/tmp', '/dev/shm') for i in range(9)) > 600 << 20 and 'ESCAPED'
""",
    "file descriptors": """
kept = []
while len(kept) < 10**5: kept.append(open('/dev/null'))
result = 'ESCAPED'
""",
    "endless output": "while True: print('x' * 1000)",
    "endless output on stderr": "while True: os.write(2, b'x' * 65536)",
    "endless loop": "while True: pass",
    "endless loop in C": "import itertools, collections; collections.deque(itertools.count(), maxlen=0)",
    "backtracking": "import re; re.match(r'(a+)+b', 'a' * 99)",
    "deep recursion": "def f(): return f() + 1\nf()",
}

ENDINGS = {
    "os._exit with success": "os._exit(0)",
    "os._exit with a status": "os._exit(7)",
    "segmentation fault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "kill of itself": "os.kill(os.getpid(), 9); ctypes.string_at(0)",
    "sys.exit": "sys.exit('no')",
    "exception whose text raises": "class E(Exception):\n    def __str__(self): os._exit\n\nraise E",
    "closed stdio": "sys.stdout.close(); sys.stderr.close(); os.close(0); result = 1",
    "every descriptor closed": "os.closerange(0, 250); result = 1",
    "stdout replaced": "sys.stdout = sys.stderr = None; result = 1",
    "exit handlers": "import atexit; atexit.register(lambda: os.kill(os.getpid(), 9)); result = 1",
}

VALUES = {
    "huge text": "result = 'x' * (40 << 20)",
    "huge list": "result = ['x' * 1000] * 5000",
    "deep nesting": "result = []\nfor _ in range(100_000): result = [result]",
    "deep nesting as text": """
os.write(results, frame(b'{"error":null,"arrays":[],"value":' + b'[' * 10**5 + b']' * 10**5))
""",
    "pickle instead of a message": "import pickle; os.write(results, frame(pickle.dumps(Evil()), 0))",
    "object array": "import numpy; result = numpy.array([Evil()], dtype=object)",
    "object with a reduce method": "result = Evil()",
    "array of an object dtype, forged": """
os.write(results, frame(b'{"error":null,"arrays":[["|O",[1]]],"value":{"$array":0},"sizes":[8]}', 8) + b'x' * 8)
""",
    "array of a huge shape, forged": """
head = b'{"error":null,"arrays":[["<f8",[99999999999]]],"value":{"$array":0},"sizes":[8]}'
os.write(results, frame(head, 8) + b'x' * 8)
""",
    "negative sizes, forged": """
os.write(results, frame(b'{"error":null,"arrays":[],"value":1,"sizes":[-8, 8]}', 0))
""",
    "huge lengths, forged": "os.write(results, b'\\xff' * 16); time.sleep(99)",
    "half a message": "os.write(results, b'\\0' * 15); os._exit(0)",
    "lone surrogates": "result = '\\ud800'",
    "an integer of a million digits": "result = 10**1_000_000",
    "a dict that lies": """
class Liar(dict):
    def items(self): raise SystemError('no')
result = Liar(a=1)
""",
    "a text that lies": """
class Liar(str):
    def __len__(self): raise SystemError('no')
result = Liar('text')
""",
}
VALUE_PRELUDE = """
import struct
class Evil:
    def __reduce__(self): return os.system, ('touch ' + outside + '/pickled',)
def frame(head, body=0):
    return struct.pack('>QQ', len(head), body) + head
results = max(fd for fd in range(3, 99) if quiet(os.fstat, fd))
"""

FILES = {
    "a link among the files": "os.symlink(canary, 'a.txt'); os.symlink('/etc/passwd', 'b.txt')",
    "a link to a folder": "os.symlink(outside, 'folder')",
    "a pipe": "os.mkfifo('a.txt')",
    "a socket": "quiet(lambda: socket.socket(socket.AF_UNIX).bind('a.txt'))",
    "a file without rights": "open('a.txt', 'w').write('x'); os.chmod('a.txt', 0); os.mkdir('d', 0)",
    "a name that is not text": "open(b'\\xff\\xfe', 'w').write('x')",
    "names that climb": """
os.makedirs('..evil/...')
for name in ('..evil/.../a\\n..', '..\\\\up'): open(name, 'w').write('x')
""",
    "too many files": "for i in range(1100): open(f'f{i}', 'w').write('x')",
    "too much in files": "for i in range(9): open(f'f{i}', 'wb').write(b'x' * (2 << 20))",
    "a sparse file": "quiet(os.truncate, open('big', 'wb').name, 200 << 20)",
    "deep folders": """
for _ in range(40):
    os.mkdir('d'); os.chdir('d')
""",
    "a file that turns into a link": """
if os.fork() == 0:
    os.setsid()
    while True:
        open('t', 'w').close(); os.rename('t', 'a.txt'); quiet(os.symlink, canary, 's'); quiet(os.rename, 's', 'a.txt')
time.sleep(0.1); result = 1
""",
    "the folder taken away": """
import shutil
quiet(os.rmdir, os.getcwd()); shutil.rmtree(os.getcwd(), ignore_errors=True); result = 1
""",
}

KINDS = {
    "network": NETWORK,
    "reading": READING,
    "writing": WRITING,
    "processes": PROCESSES,
    "privileges": PRIVILEGES,
    "resources": RESOURCES,
    "endings": ENDINGS,
    "values": {name: VALUE_PRELUDE + code for name, code in VALUES.items()},
    "files": FILES,
}
ATTEMPTS = {f"{kind}: {name}": code for kind, attempts in KINDS.items() for name, code in attempts.items()}

_FILES_OF_THE_CALLER = "the code runs as the caller, with the caller's rights to files"
_ROOT_HAS_NO_LIMIT = "root may raise its limits again and has none on processes"
OPEN = {
    **{f"reading: {name}": _FILES_OF_THE_CALLER for name in READING if "keyring" not in name},
    **{f"writing: {name}": _FILES_OF_THE_CALLER for name in WRITING},
    "resources: disk fill elsewhere": _FILES_OF_THE_CALLER,
    "processes: killing everyone": "should the filter of calls fail, everything of the user's would end",
    "privileges: setuid programs": "a setuid program is refused its rights, but one that root starts has them",
}
OPEN_TO_ROOT = {
    "privileges: raising limits": _ROOT_HAS_NO_LIMIT,
    "privileges: raising the number of processes": _ROOT_HAS_NO_LIMIT,
    "privileges: becoming root": "root it is",
    "privileges: clock": "root may set the clock",
    "resources: fork bomb": _ROOT_HAS_NO_LIMIT,
    "resources: fork bomb of new sessions": _ROOT_HAS_NO_LIMIT,
    "resources: thread bomb": _ROOT_HAS_NO_LIMIT,
}
