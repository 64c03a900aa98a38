"""What the calls of Python's libraries mean to a reader of data flow: dotted name -> role. Tables only."""

from __future__ import annotations

_HTTP_VERBS = ("get", "post", "put", "patch", "delete", "head", "request", "send", "stream", "ws_connect")


def _each(prefixes: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(f"{p}.{n}" for p in prefixes for n in names)


CLIENTS = frozenset(  # constructors of objects that talk to the network
    [
        "requests.Session",
        "requests.session",
        "httpx.Client",
        "httpx.AsyncClient",
        "aiohttp.ClientSession",
        "socket.socket",
        "socket.create_connection",
        "http.client.HTTPConnection",
        "http.client.HTTPSConnection",
        "smtplib.SMTP",
        "smtplib.SMTP_SSL",
        "ftplib.FTP",
        "ftplib.FTP_TLS",
        "paramiko.SSHClient",
        "boto3.client",
        "boto3.resource",
        "urllib3.PoolManager",
        "telnetlib.Telnet",
        "urllib.request.Request",
        "websocket.create_connection",
        "websockets.connect",
        "xmlrpc.client.ServerProxy",
    ]
)
NETWORK = (
    _each(("requests", "httpx", "aiohttp", "requests.api"), _HTTP_VERBS)
    | _each(
        (
            "requests.Session",
            "requests.session",
            "httpx.Client",
            "httpx.AsyncClient",
            "aiohttp.ClientSession",
            "urllib3.PoolManager",
            "urllib3",
        ),
        _HTTP_VERBS,
    )
    | _each(("socket.socket", "socket.create_connection"), ("send", "sendall", "sendto", "connect", "connect_ex"))
    | _each(("http.client.HTTPConnection", "http.client.HTTPSConnection"), ("request", "send", "putrequest"))
    | _each(("smtplib.SMTP", "smtplib.SMTP_SSL"), ("sendmail", "send_message"))
    | _each(("ftplib.FTP", "ftplib.FTP_TLS"), ("storbinary", "storlines"))
    | _each(("boto3.client", "boto3.resource"), ("put_object", "upload_file", "upload_fileobj"))
    | _each(("websocket.create_connection", "websockets.connect"), ("send",))
    | frozenset(
        [
            "urllib.request.urlopen",
            "urllib.request.Request",
            "urllib.request.urlretrieve",
            "urllib2.urlopen",
            "urllib.urlopen",
            "wget.download",
            "socket.create_connection",
            "socket.gethostbyname",
            "socket.getaddrinfo",
            "paramiko.SFTPClient.put",
            "http.client.HTTPSConnection",
            "http.client.HTTPConnection",
            "smtplib.SMTP",
            "smtplib.SMTP_SSL",
            "ftplib.FTP",
            "websocket.create_connection",
            "websockets.connect",
            "xmlrpc.client.ServerProxy",
        ]
    )
)
DOWNLOADS = frozenset(("urllib.request.urlretrieve", "wget.download", "urllib.urlretrieve"))
EVALUATORS = frozenset(
    [
        "eval",
        "exec",
        "compile",
        "__import__",
        "builtins.eval",
        "builtins.exec",
        "pickle.loads",
        "pickle.load",
        "marshal.loads",
        "dill.loads",
        "cloudpickle.loads",
        "importlib.import_module",
        "runpy.run_path",
        "runpy.run_module",
        "types.FunctionType",
        "code.interact",
        "types.CodeType",
        "importlib.util.spec_from_file_location",
    ]
)
PROCESSES = frozenset(
    [
        "os.system",
        "os.popen",
        "os.execv",
        "os.execvp",
        "os.execl",
        "os.execlp",
        "os.spawnv",
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "commands.getoutput",
        "pty.spawn",
        "asyncio.create_subprocess_shell",
        "asyncio.create_subprocess_exec",
        "os.startfile",
    ]
)
LOGS = frozenset(("print", "pprint.pprint", "sys.stdout.write", "sys.stderr.write")) | _each(
    ("logging", "logger", "log", "logging.getLogger"),
    ("debug", "info", "warning", "error", "critical", "exception", "log"),
)
WRITERS = frozenset(("write", "write_text", "write_bytes", "writelines"))
DUMPERS = frozenset(["json.dump", "pickle.dump", "yaml.dump", "yaml.safe_dump", "csv.writer", "shutil.copyfileobj"])
READERS = frozenset(("read", "read_text", "read_bytes", "readlines", "readline", "open"))
OPENERS = frozenset(
    ["open", "io.open", "codecs.open", "gzip.open", "sqlite3.connect", "os.open", "zipfile.ZipFile", "tarfile.open"]
)
COPIERS = frozenset(
    [
        "shutil.copy",
        "shutil.copy2",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.make_archive",
        "shutil.move",
        "os.link",
    ]
)
WALKS = frozenset(["os.walk", "os.listdir", "os.scandir", "glob.glob", "glob.iglob", "os.fwalk"])
PATH_WALKS = frozenset(("rglob", "glob", "iterdir", "walk"))
DECODERS = frozenset(
    [
        "base64.b64decode",
        "base64.urlsafe_b64decode",
        "base64.b32decode",
        "base64.b16decode",
        "base64.a85decode",
        "base64.b85decode",
        "base64.decodebytes",
        "binascii.unhexlify",
        "binascii.a2b_base64",
        "bytes.fromhex",
        "bytearray.fromhex",
        "zlib.decompress",
        "gzip.decompress",
        "bz2.decompress",
        "lzma.decompress",
        "codecs.decode",
        "marshal.loads",
    ]
)
SOURCES: dict[str, str] = {  # call -> label of what it returns
    **dict.fromkeys(("input", "raw_input", "sys.stdin.read", "sys.stdin.readline"), "input"),
    **dict.fromkeys(("pyperclip.paste", "tkinter.Tk.clipboard_get", "win32clipboard.GetClipboardData"), "clipboard"),
    **dict.fromkeys(
        [
            "platform.node",
            "platform.uname",
            "platform.platform",
            "socket.gethostname",
            "socket.getfqdn",
            "getpass.getuser",
            "os.getlogin",
            "uuid.getnode",
            "os.uname",
            "os.getcwd",
        ],
        "host-info",
    ),
    **dict.fromkeys(("dotenv.dotenv_values", "os.environb.copy"), "environ"),
    **dict.fromkeys(
        [
            "keyring.get_password",
            "keyring.get_credential",
            "browser_cookie3.chrome",
            "browser_cookie3.firefox",
            "browser_cookie3.load",
            "netrc.netrc",
            "boto3.Session.get_credentials",
            "win32crypt.CryptUnprotectData",
        ],
        "credentials",
    ),
}
HOME = frozenset(("Path.home", "pathlib.Path.home", "os.path.expanduser"))
AUTH_KEYWORDS = frozenset(("headers", "auth", "cookies", "cert"))
